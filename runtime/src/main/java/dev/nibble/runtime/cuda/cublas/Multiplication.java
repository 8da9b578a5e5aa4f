package dev.nibble.runtime.cuda.cublas;

/// What cuBLASLt is asked for; its text names it in messages.
sealed interface Multiplication permits Product, GramProduct {}
