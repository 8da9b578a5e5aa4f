package dev.nibble.runtime.cache;

import dev.nibble.runtime.tensor.Ops;

/// A rule by which steps reuse what earlier steps computed. Immutable: what changes in a run is in
/// its {@link CacheRun}; only a calibration collects what its runs measure.
public sealed interface StepCache
    permits NoCache,
        FbCache,
        DbCache,
        TeaCache,
        TeaCacheCalibration,
        Fora,
        TaylorSeerInterval,
        MagCache,
        MagCacheCalibration {
  /// The rule and its parameters as {@link StepCaches#parse} takes them, such as
  /// `dbcache:F=1,B=0,threshold=0.08`; the name alone of a calibration.
  String spec();

  /// Starts one picture.
  ///
  /// @param ops of the session, whose memory holds the state until the session ends
  CacheRun start(CachePlan plan, Ops ops);
}
