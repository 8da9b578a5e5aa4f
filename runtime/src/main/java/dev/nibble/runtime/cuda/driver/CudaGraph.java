package dev.nibble.runtime.cuda.driver;

import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.JCudaDriver;

/// Work of a stream, recorded once and launched as a whole: a kernel then costs the host a
/// microsecond at most. Addresses and arguments are those of the recording; their memory must live.
/// Closed by whoever made it; its device closes what is left.
public final class CudaGraph implements AutoCloseable {
  private final CudaDevice device;
  private final CUgraph graph;
  private final CUgraphExec executable = new CUgraphExec();
  private boolean closed;

  CudaGraph(CudaDevice device, CUgraph graph) {
    this.device = device;
    this.graph = graph;
    device.check(
        JCudaDriver.cuGraphInstantiate(executable, graph, 0), "making a graph of recorded work");
  }

  CUgraphExec executable() {
    return executable;
  }

  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      device.makeCurrent();
      device.forget(this);
      device.check(JCudaDriver.cuGraphExecDestroy(executable), "closing a graph");
      device.check(JCudaDriver.cuGraphDestroy(graph), "closing a graph");
    }
  }
}
