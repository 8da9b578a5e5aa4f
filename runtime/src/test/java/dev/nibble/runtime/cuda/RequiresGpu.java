package dev.nibble.runtime.cuda;

import dev.nibble.runtime.cuda.driver.CudaDriver;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;

/// A test that needs a GPU and this build's kernels; skipped, and reported as skipped, elsewhere.
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@Tag("gpu")
@ExtendWith(RequiresGpu.Condition.class)
public @interface RequiresGpu {
  /// Looks for them.
  final class Condition implements ExecutionCondition {
    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
      if (!CudaDriver.hasDevice()) {
        return ConditionEvaluationResult.disabled("no NVIDIA GPU here");
      }
      return KernelModule.exists("fill")
          ? ConditionEvaluationResult.enabled("an NVIDIA GPU is here")
          : ConditionEvaluationResult.disabled("this build carries no CUDA kernels");
    }
  }
}
