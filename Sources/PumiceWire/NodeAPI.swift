public import PumiceModel

/// What an agent does for the coordinator. Every call can be repeated, reordered or lost.
///
/// `ensure…` makes it so and says how it is; `remove…` makes it gone, and is content when it was never there. Each carries
/// the revision of the row behind it: an agent that has seen a newer one answers `stale` and does nothing.
/// Over HTTP the agent serves it (`/v1/…`), `NodeClient` calls it; in the simulation they meet without a network.
public protocol NodeAPI: Sendable {
  /// Who the node is and what it has: `GET /v1/node`.
  func report() async throws(StorageError) -> NodeReport

  /// What is there, read anew: `GET /v1/inventory`.
  func inventory() async throws(StorageError) -> Inventory

  /// The volume exists on the pool with at least this size, durable: `PUT /v1/volumes/{id}`.
  ///
  /// A new one holds zeros, or a copy of the request's source. An existing smaller one grows, with its exports; it never
  /// shrinks. Refuses with `noSpace`, `notFound` (no such pool, no such source, or no such volume where it must exist).
  func ensureVolume(_ id: VolumeID, _ request: VolumeRequest) async throws(StorageError) -> Progress

  /// The volume and its bytes are gone from the pool: `DELETE /v1/volumes/{id}`. `inUse` while an export or a snapshot of
  /// it stands.
  ///
  /// From the first answer on, whatever its progress, the volume is gone for everybody: only bytes are still wiped, as long
  /// as somebody asks.
  func removeVolume(_ id: VolumeID, _ request: VolumeRemoval) async throws(StorageError) -> Progress

  /// The volume has the content of its snapshot, wholly or not at all: `PUT /v1/volumes/{id}/revert`.
  ///
  /// Done once for a revision: a repeat that comes after the end changes nothing. `inUse` while an export of it stands.
  func revertVolume(_ id: VolumeID, _ request: RevertRequest) async throws(StorageError) -> Progress

  /// The pool holds the volume as it was at one moment between the first call and the last answer, durable:
  /// `PUT /v1/snapshots/{id}`. One that is there stays as it is.
  func ensureSnapshot(_ id: SnapshotID, _ request: SnapshotRequest) async throws(StorageError) -> Progress

  /// The snapshot and its bytes are gone from the pool: `DELETE /v1/snapshots/{id}`.
  func removeSnapshot(_ id: SnapshotID, _ request: SnapshotRemoval) async throws(StorageError) -> Progress

  /// This initiator, and only it, reaches the volume with the secret in the answer: `PUT /v1/exports/{attachment}`.
  ///
  /// A repeat answers with the same secret.
  func ensureExport(_ id: AttachmentID, _ request: ExportRequest) async throws(StorageError) -> ExportedTarget

  /// The initiator is refused and its session ended: `DELETE /v1/exports/{attachment}`.
  func removeExport(_ id: AttachmentID, _ request: ExportRemoval) async throws(StorageError)

  /// The instance has the disk, checked by serial, with at least this size: `PUT /v1/connections/{attachment}`.
  func ensureConnection(
    _ id: AttachmentID, _ request: ConnectionRequest
  ) async throws(StorageError) -> ConnectedDisk

  /// The instance's live and stored XML have the disk no more: `DELETE /v1/connections/{attachment}`.
  func removeConnection(_ id: AttachmentID, _ request: ConnectionRemoval) async throws(StorageError)

  /// The instance's guest has written out its file systems and holds them still for at most the request's time, whatever
  /// becomes of the caller; or the answer says why not: `PUT /v1/instances/{id}/quiescence`.
  ///
  /// Several holders share one freeze and its end. A holder that has let go, or whose time is up, is not served again.
  func freezeInstance(_ id: InstanceID, _ request: FreezeRequest) async throws(StorageError) -> FreezeAnswer

  /// The holder lets go; with the last one the guest goes on: `DELETE /v1/instances/{id}/quiescence`. Content when nothing
  /// is frozen.
  func thawInstance(_ id: InstanceID, _ request: ThawRequest) async throws(StorageError) -> ThawAnswer
}

/// Where the coordinator finds a node's agent.
public protocol NodeDirectory: Sendable {
  func node(_ name: NodeName, at address: String) -> any NodeAPI
}

/// Where an agent reports: `POST /nodes/v1/reports` on the coordinator.
public protocol ReportSink: Sendable {
  func send(_ report: NodeReport) async throws(StorageError)
}
