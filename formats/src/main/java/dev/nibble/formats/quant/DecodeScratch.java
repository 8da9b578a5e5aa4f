package dev.nibble.formats.quant;

/// Working arrays of {@link WeightDecoder}s, kept from call to call by whoever decodes little
/// slices often. For one thread at a time, and any decoders.
public final class DecodeScratch {
  private byte[] packed = {};
  private byte[] absmaxCodes = {};
  private float[] magnitudes = {};
  private float[] tables = {};
  private short[] shortTables = {};
  private float[] floats = {};
  private short[] shorts = {};

  byte[] packed(int size) {
    packed = packed.length < size ? new byte[size] : packed;
    return packed;
  }

  byte[] absmaxCodes(int size) {
    absmaxCodes = absmaxCodes.length < size ? new byte[size] : absmaxCodes;
    return absmaxCodes;
  }

  float[] magnitudes(int size) {
    magnitudes = magnitudes.length < size ? new float[size] : magnitudes;
    return magnitudes;
  }

  float[] tables(int size) {
    tables = tables.length < size ? new float[size] : tables;
    return tables;
  }

  short[] shortTables(int size) {
    shortTables = shortTables.length < size ? new short[size] : shortTables;
    return shortTables;
  }

  float[] floats(int size) {
    floats = floats.length < size ? new float[size] : floats;
    return floats;
  }

  short[] shorts(int size) {
    shorts = shorts.length < size ? new short[size] : shorts;
    return shorts;
  }
}
