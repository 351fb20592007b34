public import PumiceModel

/// The settings that decide: how often nodes report, when they are down, how long is tried, how pools are weighed.
public struct Policy: Sendable {
  public var reportInterval: Duration = .seconds(10)
  /// A node whose last report is older than this is down.
  public var serviceDownTime: Duration = .seconds(60)
  /// How many pools are tried for one volume.
  public var maxPlacementAttempts = 3
  /// How often a pool that fails with a transient error is asked before the next one is tried: with the back-off, half a
  /// minute, in which a node may start anew.
  public var maxProvisionAttempts = 6
  /// How often a first attach is tried before it is taken back: with the back-off, half a minute as well.
  public var maxConnectAttempts = 6
  /// How often an extend that meets transient errors is tried before it is given up.
  public var maxExtendAttempts = 6
  /// How often taking a snapshot, or making a volume from another or from a snapshot, is tried while it meets transient
  /// errors: with the back-off, about a minute. Nobody wants the content of an hour later, and attaching waits for it.
  public var maxCopyAttempts = 6
  /// The same for a revert: some seven minutes. An operator is to be told then, and not sooner than needed.
  public var maxRevertAttempts = 12
  /// How long a guest may hold still while a snapshot is taken of a volume that it has; 0 is never.
  public var quiesceTimeout: Duration = .seconds(10)
  /// How pools that fit are compared.
  public var weighing = PoolWeighing.byCapacity
  /// How long rows of things that are gone are kept, to know a late call by.
  public var tombstoneLifetime: Duration = .seconds(30 * 24 * 3600)
  /// When this coordinator began; until `serviceDownTime` after that, nodes that have not reported yet are waited for.
  public var startedAt: Timestamp

  public init(startedAt: Timestamp) { self.startedAt = startedAt }
}
