import HashTreeCollections
import Hummingbird
import Logging
import PumiceModel
import PumiceWire

extension Call {
  /// Exports the volume for the attachment's client, and says how to get in. Harmless when repeated.
  func export(_ attachment: Attachment) async throws(StorageError) -> ConnectionInfo {
    ConnectionInfo(try await runner.export(attachment), attachment)
  }

  /// Lets an attachment go, and waits for one try to withdraw it; what is left after that goes on by itself.
  func release(_ attachment: AttachmentID) async throws {
    let now = now
    try await api.store.write { try $0.release(attachment, at: now) }
    context.logger.info("Attachment is to go", metadata: ["attachment.id": "\(attachment)"])
    if tables.attachments[attachment]?.client != nil { await runner.perform(.attachment(attachment)) }
  }

  private var runner: PendingWorkRunner {
    PendingWorkRunner(
      store: api.store, directory: api.watch.directory, policy: api.policy, surroundings: api.surroundings,
      logger: context.logger)
  }
}

/// How a host gets in by iSCSI, as os-brick reads it.
struct ConnectionInfo: Encodable {
  static let type = "iscsi"

  let type = Self.type
  let targetDiscovered = false
  let portal: String
  let iqn: String
  let lun: Int
  var portals: [String]?
  var iqns: [String]?
  var luns: [Int]?
  let volumeID: String
  let attachmentID: String
  let authenticationMethod = "CHAP"
  let user: String
  let password: String
  let accessMode: String
  let encrypted = false
  let cacheable = false
  let discard = true
  @OrNull var qosSpecs: String?

  init(_ target: ExportedTarget, _ attachment: Attachment) {
    portal = target.portals.first ?? ""
    iqn = target.iqn
    lun = target.lun
    if target.portals.count > 1 {
      portals = target.portals
      iqns = target.portals.map { _ in target.iqn }
      luns = target.portals.map { _ in target.lun }
    }
    volumeID = attachment.volume.description
    attachmentID = attachment.id.description
    user = target.chapUser
    password = target.chapSecret
    accessMode = attachment.mode.rawValue
  }

  enum CodingKeys: String, CodingKey {
    case encrypted, cacheable, discard
    case type = "driver_volume_type"
    case targetDiscovered = "target_discovered"
    case portal = "target_portal"
    case iqn = "target_iqn"
    case lun = "target_lun"
    case portals = "target_portals"
    case iqns = "target_iqns"
    case luns = "target_luns"
    case volumeID = "volume_id"
    case attachmentID = "attachment_id"
    case authenticationMethod = "auth_method"
    case user = "auth_username"
    case password = "auth_password"
    case accessMode = "access_mode"
    case qosSpecs = "qos_specs"
  }
}
