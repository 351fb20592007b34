/// One volume given to one instance: reserved with the row, then exported, connected and plugged. For those of clients, who
/// connect by themselves, see below.
///
///     attaching ──▶ attached ──▶ detaching ──▶ withdrawing ──▶ detached (tombstone)
///         └───── with a reason ──────▲
///
/// `detaching` ends only when the instance's live XML has the disk no more, and `withdrawing` only when the target refuses
/// the old initiator: both are retried for as long as that takes.
public struct Attachment: Sendable, Equatable, Codable {
  public enum State: String, Sendable, Codable, CaseIterable {
    /// A client has the volume set aside.
    case reserved
    /// The volume is reserved; the nodes are being asked. Ends as `attached` or `detaching`.
    case attaching
    /// The instance has the disk.
    case attached
    /// The disk is being unplugged and disconnected on the compute node.
    case detaching
    /// The export is being fenced on the storage node.
    case withdrawing
    /// Gone; the row is a tombstone.
    case detached
  }

  public enum PendingWork: Sendable, Equatable {
    /// Ensure the export on the volume's node, then the connection on the compute node.
    case connect
    /// Ensure the export on the volume's node; a client connects by itself.
    case export
    /// Ensure that the instance has the disk no more.
    case disconnect
    /// Ensure that the storage node refuses the initiator.
    case withdraw
  }

  public enum Mode: String, Sendable, Codable {
    case readWrite = "rw"
    case readOnly = "ro"
  }

  public let id: AttachmentID
  public let volume: VolumeID
  public let project: ProjectID
  /// Who gets it; of a client, only what that says.
  public private(set) var instance: InstanceID?
  /// The compute node that runs the instance; `nil` for a client.
  public let node: NodeName?
  /// Who connects to the volume without an agent; `nil` for an instance of a compute node.
  public private(set) var client: StorageClient?
  public private(set) var mode: Mode
  /// The target name in the guest (`vdb`): asked for, or as it came out.
  public private(set) var device: String?
  /// Whether the instance has the volume as a device of its own node, with no target in between. It stays so for as long as
  /// the disk is there.
  public private(set) var isLocal: Bool?
  /// What the user calls the disk, for Nova's clients: kept and shown, and nothing more.
  public let tag: String?
  private var deletesOnTermination: Bool?
  public private(set) var state: State
  public private(set) var revision: Revision
  /// Whether something was found missing on a node, so that export and connection are ensured once more.
  public private(set) var needsRepair: Bool
  public var retry: Retry
  /// Why it is going, when nobody asked for that.
  public private(set) var failure: String?
  public let createdAt: Timestamp
  public private(set) var attachedAt: Timestamp?
  public private(set) var updatedAt: Timestamp

  public init(
    id: AttachmentID, volume: VolumeID, project: ProjectID, instance: InstanceID, node: NodeName,
    mode: Mode = .readWrite, device: String? = nil, tag: String? = nil, isVolumeForInstanceOnly: Bool = false,
    createdAt: Timestamp
  ) {
    self.id = id
    self.volume = volume
    self.project = project
    self.instance = instance
    self.node = node
    self.mode = mode
    self.device = device
    self.tag = tag
    deletesOnTermination = isVolumeForInstanceOnly ? true : nil
    state = .attaching
    revision = 1
    needsRepair = false
    retry = Retry()
    self.createdAt = createdAt
    updatedAt = createdAt
  }

  /// A volume that is set aside for a client: `reserved`, or already `attaching`.
  public init(
    id: AttachmentID, volume: VolumeID, project: ProjectID, client: StorageClient, instance: InstanceID? = nil,
    mode: Mode = .readWrite, isReserved: Bool, createdAt: Timestamp
  ) {
    self.id = id
    self.volume = volume
    self.project = project
    self.client = client
    self.instance = instance
    node = nil
    tag = nil
    self.mode = mode
    state = isReserved ? .reserved : .attaching
    revision = 1
    needsRepair = false
    retry = Retry()
    self.createdAt = createdAt
    updatedAt = createdAt
  }

  public var pendingWork: PendingWork? {
    switch state {
    case .reserved, .detached: nil
    case .attaching: client == nil ? .connect : nil
    case .attached where needsRepair: client == nil ? .connect : .export
    case .attached: nil
    case .detaching: client == nil ? .disconnect : nil
    case .withdrawing: .withdraw
    }
  }

  /// Whether the user wants the volume to go with the instance (Nova's `delete_on_termination`). Whoever deletes the instance
  /// reads it and deletes the volume: instances come and go without us.
  public var isVolumeForInstanceOnly: Bool {
    get { deletesOnTermination == true }
    set { deletesOnTermination = newValue ? true : nil }
  }

  /// Whether the volume is, or may be, exported for it.
  public var hasExport: Bool { holdsVolume && (client == nil || client?.initiator != nil) }

  /// The instance that gets it and its compute node; `nil` for a client.
  public var place: (instance: InstanceID, node: NodeName)? {
    guard let instance, let node else { return nil }
    return (instance, node)
  }

  /// Who has it, or is to have it, in a sentence.
  public var holder: String {
    if let instance { return "instance \(instance)" }
    guard let client, !client.host.isEmpty else { return "a client" }
    return "host \(client.host)"
  }

  /// Whether the volume is held by it: from the reservation until the fence stands.
  public var holdsVolume: Bool { state != .detached }

  /// The instance has the disk under this target name.
  public mutating func confirm(device: String?, isLocal: Bool = false, at now: Timestamp) throws(StorageError) {
    try require(state == .attached || (state == .attaching && client == nil), "confirmed")
    self.device = device ?? self.device
    self.isLocal = isLocal
    attachedAt = attachedAt ?? now
    needsRepair = false
    state = .attached
    advance(at: now)
  }

  /// Begins to take it back: because somebody asked, or with the reason why it could not be made. Harmless when repeated. What a
  /// client has is withdrawn at once: only it could have let go before.
  public mutating func beginDetaching(because reason: String? = nil, at now: Timestamp) throws(StorageError) {
    switch state {
    case .reserved, .attaching, .attached:
      failure = reason
      state = client == nil ? .detaching : .withdrawing
      advance(at: now)
    case .detaching:
      guard client != nil else { return }
      state = .withdrawing
      advance(at: now)
    case .withdrawing: return
    case .detached: throw StorageError(.notFound, "Attachment \(id) is detached already.")
    }
  }

  /// The instance has the disk no more.
  public mutating func confirmDisconnected(at now: Timestamp) throws(StorageError) {
    try require(state == .detaching, "withdrawn")
    state = .withdrawing
    advance(at: now)
  }

  /// The target refuses the initiator; the volume is free.
  public mutating func confirmWithdrawn(at now: Timestamp) throws(StorageError) {
    try require(state == .withdrawing, "finished")
    state = .detached
    advance(at: now)
  }

  /// An export or a disk that should be there was found missing: both are ensured once more.
  public mutating func repair(at now: Timestamp) {
    guard state == .attached, hasExport, !needsRepair else { return }
    needsRepair = true
    advance(at: now)
  }

  /// The repair waits for a node that was declared lost: it is begun again when that node is heard of.
  public mutating func abandonRepair(at now: Timestamp) {
    guard state == .attached, needsRepair else { return }
    needsRepair = false
    advance(at: now)
  }

  /// A late call made something of a detached attachment come back: it is taken away once more.
  public mutating func detachAgain(at now: Timestamp) {
    guard state == .detached else { return }
    state = client == nil ? .detaching : .withdrawing
    advance(at: now)
  }

  mutating func take(
    _ client: StorageClient, _ state: State, instance: InstanceID? = nil, mode: Mode? = nil, at now: Timestamp
  ) {
    self.client = client
    self.instance = instance ?? self.instance
    self.mode = mode ?? self.mode
    if state == .attached { attachedAt = attachedAt ?? now }
    self.state = state
    advance(at: now)
  }

  func require(_ condition: Bool, _ participle: String) throws(StorageError) {
    guard condition else {
      throw StorageError(.conflict, "Attachment \(id) is \(state.rawValue), so it can't be \(participle).")
    }
  }

  private mutating func advance(at now: Timestamp) {
    revision += 1
    updatedAt = now
    retry = Retry()
  }
}
