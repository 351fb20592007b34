public import PumiceModel
public import PumiceWire

/// What an agent has to remember over a restart because kernel, tgtd and libvirt forget it: one small record per attachment,
/// and per instance whose guest holds still.
///
/// | driver                | where                                                     |
/// |-----------------------|-----------------------------------------------------------|
/// | `FileRecordStore`     | `state_directory/exports/<attachment>.json` …, mode 0600   |
/// | `InMemoryRecordStore` | an `InMemoryRecordShelf`, which outlives it                |
///
/// Records hold secrets. Calls about one subject come one at a time.
public protocol RecordStore<Element>: Sendable {
  associatedtype Element: Record

  /// Every record, in the order of their subjects.
  var all: [Element] { get }
  func record(of subject: Identifier<Element.Kind>) -> Element?

  /// When it returns, the record is durable, in place of an older one; after a crash there is the one or the other.
  func put(_ record: Element) async throws(StorageError)

  /// When it returns, there is no such record, also after a crash. Content when there was none.
  func remove(_ subject: Identifier<Element.Kind>) async throws(StorageError)
}

public protocol Record: Sendable, Equatable, Codable {
  associatedtype Kind
  /// What it is about: there is one record of each.
  var subject: Identifier<Kind> { get }
}

/// Something that is kept per attachment.
public protocol AttachmentRecord: Record where Kind == Attachment {
  var attachment: AttachmentID { get }
}

extension AttachmentRecord {
  public var subject: AttachmentID { attachment }
}

/// What a compute node keeps of a guest that holds still, from before it is asked until it is known to have gone on.
public struct QuiescenceRecord: Record {
  public let instance: InstanceID

  public init(_ instance: InstanceID) { self.instance = instance }

  public var subject: InstanceID { instance }
}

/// What a storage node keeps of an export.
public struct ExportRecord: AttachmentRecord, CustomStringConvertible {
  public var export: Export
  /// Written before the fence is put up: what is on its way out is never restored.
  public var isLeaving: Bool

  public init(_ export: Export, isLeaving: Bool = false) {
    self.export = export
    self.isLeaving = isLeaving
  }

  public var attachment: AttachmentID { export.attachment }
  public var description: String { "\(export)\(isLeaving ? ", leaving" : "")" }
}

/// What a compute node keeps of a connection.
public struct ConnectionRecord: AttachmentRecord, CustomStringConvertible {
  public let attachment: AttachmentID
  public var request: ConnectionRequest
  /// Written before the disk is unplugged: what is on its way out is never restored.
  public var isLeaving: Bool

  public init(_ attachment: AttachmentID, _ request: ConnectionRequest, isLeaving: Bool = false) {
    self.attachment = attachment
    self.request = request
    self.isLeaving = isLeaving
  }

  public var description: String {
    "connection \(attachment) of volume \(request.volume) to instance \(request.instance)\(isLeaving ? ", leaving" : "")"
  }
}

extension Export: CustomStringConvertible {
  /// Leaves the secret out.
  public var description: String { "export \(attachment) of volume \(volume) to \(initiator)" }
}

extension DiskSource: CustomStringConvertible {
  /// Leaves the secret out.
  public var description: String {
    switch self {
    case .iscsi(let portal, let iqn, let lun, _, _, _): "\(iqn) LUN \(lun) at \(portal)"
    case .block(let path): path
    case .image(let image): image.description
    case .memory(let name): name
    }
  }
}
