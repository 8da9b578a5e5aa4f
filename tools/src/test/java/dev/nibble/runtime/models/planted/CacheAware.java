package dev.nibble.runtime.models.planted;

import dev.nibble.runtime.cache.StepCache;

/// A model that knows of caches.
public final class CacheAware {
  private CacheAware() {}

  public static String knowsCaches(StepCache cache) {
    return cache.spec();
  }
}
