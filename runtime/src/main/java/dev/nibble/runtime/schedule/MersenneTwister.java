package dev.nibble.runtime.schedule;

/// MT19937 of Matsumoto and Nishimura, "Mersenne Twister: a 623-dimensionally equidistributed
/// uniform pseudo-random number generator" (1998), with the initialization of 2002.
final class MersenneTwister {
  private static final int SIZE = 624;
  private static final int SHIFT = 397;

  private final int[] state = new int[SIZE];
  private int next = SIZE;

  MersenneTwister(int seed) {
    state[0] = seed;
    for (int i = 1; i < SIZE; i++) {
      state[i] = 1812433253 * (state[i - 1] ^ (state[i - 1] >>> 30)) + i;
    }
  }

  /// The next 32 bits.
  int next() {
    if (next == SIZE) {
      twist();
      next = 0;
    }
    int word = state[next++];
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9D2C5680;
    word ^= (word << 15) & 0xEFC60000;
    return word ^ (word >>> 18);
  }

  private void twist() {
    for (int i = 0; i < SIZE; i++) {
      int word = (state[i] & 0x80000000) | (state[(i + 1) % SIZE] & 0x7FFFFFFF);
      state[i] = state[(i + SHIFT) % SIZE] ^ (word >>> 1) ^ ((word & 1) == 0 ? 0 : 0x9908B0DF);
    }
  }
}
