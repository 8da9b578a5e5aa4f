/// cuBLASLt, NVIDIA's matrix products, by foreign functions: used where it is installed, missed by
/// nobody where it is not.
@NullMarked
package dev.nibble.runtime.cuda.cublas;

import org.jspecify.annotations.NullMarked;
