import PumiceModel

/// All that LIO has for one volume, or shall have.
struct LIOTargetState: Equatable, Sendable {
  /// A disk that targets can offer.
  struct Backstore: Equatable, Sendable {
    /// Unit serial (INQUIRY page 0x80, and in designators of 0x83): the volume's id. Written first, so that what was
    /// begun can be told from what somebody else made.
    var serial = ""
    var path = ""
    var isEnabled = false
    /// Of an enabled `iblock`: `major:minor` of the device that it has open.
    var device: String?
    /// Of `fileio`: how much of the file is offered. LIO does not look at the file's own size.
    var size: ByteCount?
    /// Of `fileio`: whether writes stay in the page cache until the initiator flushes.
    var isBuffered = false
    /// Other values that can be set while it is enabled, by their place below the backstore.
    var values: [String: String] = [:]
  }

  /// An initiator that may log in.
  struct Admission: Equatable, Sendable {
    /// A word that LIO keeps for us: the attachment's id.
    var tag = ""
    var user = ""
    /// `nil`: nobody can log in.
    var secret: String?
    /// By which the target shows itself to this initiator. LIO does so for initiators that ask, if it has both parts.
    var targetUser = ""
    var targetSecret = ""
    /// The logical unit as this initiator has it; `nil`: not at all.
    var mapping: Mapping?
    /// Units that somebody else gave it.
    var otherMappings: [String: Mapping] = [:]
    /// `0` lets everybody in without a secret who bears the name; `-1` asks the group. Kernels before 5.20 lack it.
    var authentication: String?
  }

  struct Mapping: Equatable, Sendable {
    var link: Link?
    /// What LIO says while it is linked.
    var isReadOnly = false
  }

  struct Link: Equatable, Sendable {
    var name: String
    /// Below the root of configfs.
    var destination: String
  }

  /// The target portal group: what initiators see of the target.
  struct Group: Equatable, Sendable {
    var alias = ""
    var values: [String: String] = [:]
    /// Links of the logical units; an empty unit has none.
    var units: [String: Link?] = [:]
    var admissions: [String: Admission] = [:]
    var portals: Set<String> = []
    var isEnabled = false
  }

  var backstores: [LIOPlugin: Backstore] = [:]
  var hasTarget = false
  var group: Group?
  /// Further portal groups, which are never ours.
  var otherGroups: [String] = []
}

extension LIOTargetState.Admission {
  /// For which attachment it was made. `nil`: not yet known to anybody, or not ours.
  func attachment(of initiator: String) -> AttachmentID? {
    AttachmentID(tag) ?? Self.attachment(endOf: user) ?? Self.attachment(endOf: initiator)
  }

  private static func attachment(endOf name: String) -> AttachmentID? {
    name.utf8.count >= 36 ? AttachmentID(String(name.suffix(36))) : nil
  }
}

extension LIOTargetState.Group {
  /// Whom the group really lets reach the volume.
  var offered: [(initiator: String, admission: LIOTargetState.Admission)] {
    guard isEnabled, let link = units[LIONames.unitFolder], link != nil else { return [] }
    return admissions.filter { $0.value.secret != nil && $0.value.mapping?.link != nil }
      .sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  /// Nobody would miss it.
  var isBlank: Bool { units.isEmpty && admissions.isEmpty && portals.isEmpty && !isEnabled }
}
