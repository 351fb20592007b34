public import PumiceModel

/// Where long work stands. `done` below 1 means: ask again. The work goes on while it is asked for, and from where it
/// stood: an agent keeps no jobs in the background that nobody waits for.
public struct Progress: Sendable, Equatable, Codable {
  /// From 0 to 1.
  public let done: Double
  /// Whoever uses the volume has to go over to another image before it goes on: that of this generation, which its export names
  /// now. `nil` when it waits for nobody. With `done` 1, what was asked for is there, and only putting things in order waits: that
  /// may be left for another time.
  public let awaits: Int?

  public init(done: Double, awaits: Int? = nil) {
    self.done = done
    self.awaits = awaits
  }

  public static let complete = Progress(done: 1)
  public var isComplete: Bool { done >= 1 }
}

/// A call that may have to wait for those who use a volume, and the repeat of it that says what has become of that.
public protocol FollowedRequest: Sendable {
  var pool: String { get }
  /// See `Progress.awaits`: everybody who uses the volume has gone over to the image of this generation.
  var adopted: Int? { get set }
  /// Somebody who uses it can't go over to the image of this generation now.
  var declined: Int? { get set }
}

/// The body of `PUT /v1/volumes/{id}`: where, how large, and what the volume's own description shall say.
public struct VolumeRequest: FollowedRequest, Equatable, Codable {
  public var revision: Revision
  /// The life of the agent that this is meant for; `nil`, from a caller by hand, for any.
  public var incarnation: UInt64?
  public var backend: String
  public var pool: String
  public var size: ByteCount
  /// What a new volume's bytes are a copy of; an existing volume keeps its own.
  public var source: VolumeSource?
  /// Whether the volume has been there before: one that is missing is then `notFound`, and never made anew, empty. `nil`
  /// is `false`.
  public var mustExist: Bool?
  /// Whether several instances may have the new volume at the same time; an existing volume stays as it was made. `nil` is
  /// `false`.
  public var multiattach: Bool?
  public var description: VolumeDescription
  /// Of the source of a copy, and else of the volume itself.
  public var adopted: Int?
  public var declined: Int?

  public init(
    revision: Revision, backend: String, pool: String, size: ByteCount, source: VolumeSource? = nil,
    description: VolumeDescription
  ) {
    self.revision = revision
    self.backend = backend
    self.pool = pool
    self.size = size
    self.source = source
    self.description = description
  }
}

/// The body of `PUT /v1/volumes/{id}/revert`.
public struct RevertRequest: Sendable, Equatable, Codable {
  public var revision: Revision
  /// The life of the agent that this is meant for; `nil`, from a caller by hand, for any.
  public var incarnation: UInt64?
  public var snapshot: SnapshotID
  public var backend: String
  public var pool: String

  public init(revision: Revision, snapshot: SnapshotID, backend: String, pool: String) {
    self.revision = revision
    self.snapshot = snapshot
    self.backend = backend
    self.pool = pool
  }
}

/// The body of `PUT /v1/snapshots/{id}`: of which volume, where that lies, and what the snapshot's own description shall say.
public struct SnapshotRequest: FollowedRequest, Equatable, Codable {
  public var revision: Revision
  /// The life of the agent that this is meant for; `nil`, from a caller by hand, for any.
  public var incarnation: UInt64?
  public var volume: VolumeID
  public var backend: String
  public var pool: String
  public var description: VolumeDescription
  public var adopted: Int?
  public var declined: Int?

  public init(
    revision: Revision, volume: VolumeID, backend: String, pool: String, description: VolumeDescription
  ) {
    self.revision = revision
    self.volume = volume
    self.backend = backend
    self.pool = pool
    self.description = description
  }
}

public struct SnapshotRemoval: FollowedRequest, Equatable, Codable {
  public var revision: Revision
  public var volume: VolumeID
  public var backend: String
  public var pool: String
  public var adopted: Int?
  public var declined: Int?

  public init(revision: Revision, volume: VolumeID, backend: String, pool: String) {
    self.revision = revision
    self.volume = volume
    self.backend = backend
    self.pool = pool
  }
}

/// What a volume says about itself beside its bytes, so that a lost store can be rebuilt from the nodes.
public struct VolumeDescription: Sendable, Equatable, Codable {
  public var name: String
  public var project: ProjectID
  public var type: String
  public var metadata: [String: String]

  public init(name: String, project: ProjectID, type: String, metadata: [String: String] = [:]) {
    self.name = name
    self.project = project
    self.type = type
    self.metadata = metadata
  }
}

public struct VolumeRemoval: Sendable, Equatable, Codable {
  public var revision: Revision
  public var backend: String
  public var pool: String

  public init(revision: Revision, backend: String, pool: String) {
    self.revision = revision
    self.backend = backend
    self.pool = pool
  }
}

public struct ExportRequest: Sendable, Equatable, Codable {
  public var revision: Revision
  /// The life of the agent that this is meant for; `nil`, from a caller by hand, for any.
  public var incarnation: UInt64?
  public var volume: VolumeID
  public var backend: String
  public var pool: String
  /// The only initiator name (RFC 7143, 4.2.7) to admit.
  public var initiator: String
  public var readOnly: Bool
  /// Whether the initiator wants to be shown a secret, too. A target that can't leaves `ExportedTarget.targetAccount` out.
  public var authenticatesTarget: Bool?

  public init(
    revision: Revision, volume: VolumeID, backend: String, pool: String, initiator: String, readOnly: Bool = false,
    authenticatesTarget: Bool? = nil
  ) {
    self.revision = revision
    self.volume = volume
    self.backend = backend
    self.pool = pool
    self.initiator = initiator
    self.readOnly = readOnly
    self.authenticatesTarget = authenticatesTarget
  }
}

public struct ExportRemoval: Sendable, Equatable, Codable {
  public var revision: Revision

  public init(revision: Revision) { self.revision = revision }
}

/// How the one admitted initiator gets in. Holds a secret: it is passed on, never stored by the coordinator and never logged.
public struct ExportedTarget: Sendable, Equatable, Codable, CustomStringConvertible {
  /// `iscsi`, `nfs`, `local` or `memory`.
  public var protocolName: String
  /// `host:port`, IPv6 in brackets; more than one where the target has several ways in.
  public var portals: [String]
  public var iqn: String
  public var lun: Int
  public var initiator: String
  public var chapUser: String
  public var chapSecret: String
  /// What the target shows the initiator in return; `nil`: nothing.
  public var targetAccount: TargetAccount?
  /// The files to open, for `nfs`.
  public var image: SharedImage?
  /// Whether other instances may have the volume at the same time. `nil` is `false`.
  public var shareable: Bool?

  public init(
    protocolName: String = "iscsi", portals: [String], iqn: String, lun: Int, initiator: String, chapUser: String,
    chapSecret: String, targetAccount: TargetAccount? = nil
  ) {
    self.protocolName = protocolName
    self.portals = portals
    self.iqn = iqn
    self.lun = lun
    self.initiator = initiator
    self.chapUser = chapUser
    self.chapSecret = chapSecret
    self.targetAccount = targetAccount
  }

  /// Leaves the secrets out.
  public var description: String { "\(protocolName) \(iqn) LUN \(lun) at \(portals.joined(separator: ", "))" }
}

/// By which a target shows one initiator that it is the one it was told of (mutual CHAP; RFC 7143, 12.1.3).
public struct TargetAccount: Sendable, Equatable, Codable, CustomStringConvertible {
  public var user: String
  /// Another than the initiator's.
  public var secret: String

  public init(user: String, secret: String) {
    self.user = user
    self.secret = secret
  }

  /// Leaves the secret out.
  public var description: String { user }
}

public struct ConnectionRequest: Sendable, Equatable, Codable {
  public var revision: Revision
  /// The life of the agent that this is meant for; `nil`, from a caller by hand, for any.
  public var incarnation: UInt64?
  public var volume: VolumeID
  public var instance: InstanceID
  public var size: ByteCount
  public var readOnly: Bool
  /// The target name the user asked for, such as `vdb`.
  public var device: String?
  public var target: ExportedTarget
  /// How much the guest may do with a disk that it does not have yet; one that it has keeps its own. `nil` is no limit.
  public var limits: DiskLimits?

  public init(
    revision: Revision, volume: VolumeID, instance: InstanceID, size: ByteCount, readOnly: Bool = false,
    device: String? = nil, target: ExportedTarget
  ) {
    self.revision = revision
    self.volume = volume
    self.instance = instance
    self.size = size
    self.readOnly = readOnly
    self.device = device
    self.target = target
  }
}

public struct ConnectionRemoval: Sendable, Equatable, Codable {
  public var revision: Revision
  public var instance: InstanceID

  public init(revision: Revision, instance: InstanceID) {
    self.revision = revision
    self.instance = instance
  }
}

/// The disk as the instance has it.
public struct ConnectedDisk: Sendable, Equatable, Codable {
  /// The target name in the domain XML, such as `vdb`.
  public var device: String
  /// Where the instance stands on its way to the image that was asked for; `nil` when it has that.
  public var progress: Progress?

  public init(device: String) { self.device = device }
}

/// The body of `PUT /v1/instances/{id}/quiescence`.
public struct FreezeRequest: Sendable, Equatable, Codable {
  /// The life of the agent that this is meant for; `nil`, from a caller by hand, for any.
  public var incarnation: UInt64?
  /// What it is for.
  public var holder: SnapshotID
  /// After that the guest goes on by itself: 1 to 60.
  public var seconds: Int

  public init(holder: SnapshotID, seconds: Int) {
    self.holder = holder
    self.seconds = seconds
  }
}

public struct FreezeAnswer: Sendable, Equatable, Codable {
  public var frozen: Bool
  /// Why not, as a sentence.
  public var reason: String?

  public init(frozen: Bool, reason: String? = nil) {
    self.frozen = frozen
    self.reason = reason
  }
}

public struct ThawRequest: Sendable, Equatable, Codable {
  public var holder: SnapshotID

  public init(holder: SnapshotID) { self.holder = holder }
}

public struct ThawAnswer: Sendable, Equatable, Codable {
  /// Whether the guest has held still from the holder's freeze until now.
  public var stillFrozen: Bool

  public init(stillFrozen: Bool) { self.stillFrozen = stillFrozen }
}
