package dev.nibble.runtime.cpu;

import dev.nibble.runtime.cpu.simd.Kernels;
import dev.nibble.runtime.tensor.Conv2d;
import dev.nibble.runtime.tensor.Tensor;
import java.util.Arrays;

/// A picture as the left matrix of a convolution: a row is the patch under the kernel at one
/// position of the output. It is never whole in memory: patches go straight into panels.
final class ConvolutionRows implements MatMul.RowPacker {
  private final Kernels kernels;
  private final float[] x;
  private final int at;
  private final Conv2d geometry;
  private final int height;
  private final int width;
  private final int channels;
  private final int outHeight;
  private final int outWidth;

  ConvolutionRows(Kernels kernels, Tensor picture, Conv2d geometry) {
    this.kernels = kernels;
    this.geometry = geometry;
    x = CpuBuffer.array(picture);
    at = CpuBuffer.offset(picture);
    height = picture.dim(1);
    width = picture.dim(2);
    channels = picture.dim(3);
    outHeight = geometry.outHeight(height);
    outWidth = geometry.outWidth(width);
  }

  @Override
  public void pack(int first, int count, float[] panel, int panelAt, int panelWidth) {
    int done = 0;
    while (done < count) {
      int row = (first + done) / outWidth;
      int left = (first + done) % outWidth;
      int length = Math.min(count - done, outWidth - left);
      packRow(row, left, length, panel, panelAt + done, panelWidth);
      done += length;
    }
  }

  /// Positions `[left, left + length)` of one row of one output.
  private void packRow(int row, int left, int length, float[] panel, int panelAt, int panelWidth) {
    int kernel = geometry.kernel();
    int stride = geometry.stride();
    int item = row / outHeight;
    int step = panelWidth * channels;
    int to = panelAt;
    for (int ky = 0; ky < kernel; ky++) {
      int y = row % outHeight * stride + ky - geometry.top();
      boolean inside = y >= 0 && y < height;
      for (int kx = 0; kx < kernel; kx++, to += step) {
        // The column of position p is p * stride + shift; it is in the picture for [begin, end).
        int shift = kx - geometry.left();
        int begin = Math.clamp(Math.ceilDiv(-shift, stride), left, left + length);
        int end = Math.clamp(Math.ceilDiv(width - shift, stride), begin, left + length);
        if (!inside) {
          begin = left;
          end = left;
        }
        clear(panel, to, panelWidth, begin - left);
        clear(panel, to + end - left, panelWidth, left + length - end);
        if (end > begin) {
          int from = at + ((item * height + y) * width + begin * stride + shift) * channels;
          kernels.transpose(
              x,
              from,
              stride * channels,
              end - begin,
              channels,
              panel,
              to + begin - left,
              panelWidth);
        }
      }
    }
  }

  private void clear(float[] panel, int panelAt, int panelWidth, int count) {
    if (count > 0) {
      for (int c = 0; c < channels; c++) {
        Arrays.fill(panel, panelAt + c * panelWidth, panelAt + c * panelWidth + count, 0);
      }
    }
  }
}
