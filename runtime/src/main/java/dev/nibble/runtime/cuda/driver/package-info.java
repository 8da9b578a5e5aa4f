/// The CUDA driver API: devices, memory, streams, events, modules, kernels. The only package that
/// knows JCuda; calls that JCuda lacks, or makes slowly, go through Java's foreign functions. No
/// class of JCuda's is initialized before a driver was found.
@NullMarked
package dev.nibble.runtime.cuda.driver;

import org.jspecify.annotations.NullMarked;
