import PumiceModel
import PumiceWire

/// What open-iscsi has to know of one way to one target for one attachment: a node record of its database.
///
/// The interface name is how everything that is made for an attachment is found again: open-iscsi passes it to the kernel,
/// which shows it with the session. The record's folder ends with portal group 1, where open-iscsi looks for it after a
/// restart of its daemon; within it the group is left open, so that the target may have another.
struct NodeRecord: Sendable, Equatable {
  let attachment: AttachmentID
  let target: String
  let portal: ISCSIPortal
  let initiator: String
  let chapUser: String
  let chapSecret: String
  let targetAccount: TargetAccount?
  let recovery: Recovery

  /// How long the kernel holds back reads and writes while the target is away.
  enum Recovery: Sendable {
    /// For the only way to a disk: guests wait for the target rather than being told of errors that pass.
    case waits
    /// For one of several: the next one is tried soon.
    case failsOver

    var seconds: Int {
      switch self {
      case .waits: 86_400
      case .failsOver: 15
      }
    }
  }

  /// Throws `invalid` for what can't stand in a record.
  init(
    _ attachment: AttachmentID, _ target: ExportedTarget, at portal: ISCSIPortal, recovery: Recovery
  ) throws(StorageError) {
    try checkISCSIName("target.iqn", target.iqn)
    try checkISCSIName("target.initiator", target.initiator)
    var words = [("target.chapUser", target.chapUser), ("target.chapSecret", target.chapSecret)]
    if let account = target.targetAccount {
      words += [("target.targetAccount.user", account.user), ("target.targetAccount.secret", account.secret)]
    }
    for (field, value) in words {
      // What the record's reader takes: a line, cut at white space, of a field of 255 characters.
      guard 1...255 ~= value.utf8.count, value.utf8.allSatisfy({ 0x21...0x7e ~= $0 }) else {
        throw .invalid(field, "must be 1 to 255 printable characters without spaces.")
      }
    }
    self.attachment = attachment
    self.target = target.iqn
    self.portal = portal
    initiator = target.initiator
    chapUser = target.chapUser
    chapSecret = target.chapSecret
    targetAccount = target.targetAccount
    self.recovery = recovery
  }

  // MARK: Names

  private static let prefix = "pumice-"

  static func interface(of attachment: AttachmentID) -> String { prefix + attachment.description }

  /// `nil` for an interface that is not ours.
  static func attachment(ofInterface name: String) -> AttachmentID? {
    guard name.hasPrefix(prefix), let id = AttachmentID(String(name.dropFirst(prefix.count))),
      interface(of: id) == name
    else { return nil }
    return id
  }

  var targetFolder: String { target }
  var folder: String { "\(target)/\(portal.host),\(portal.port),1" }
  var path: String { "\(folder)/\(Self.interface(of: attachment))" }

  // MARK: Text

  /// A target that does not show this is not let in.
  private var targetLines: String {
    targetAccount.map {
      "node.session.auth.username_in = \($0.user)\nnode.session.auth.password_in = \($0.secret)\n"
    } ?? ""
  }

  static func line(_ recovery: Recovery) -> String {
    "node.session.timeo.replacement_timeout = \(recovery.seconds)\n"
  }

  /// In the form that iscsiadm 2.1.8 writes; what is left out has open-iscsi's own defaults. See iscsid.conf.
  var text: String {
    """
    # BEGIN RECORD
    node.name = \(target)
    node.tpgt = -1
    node.startup = manual
    node.leading_login = No
    iface.iscsi_ifacename = \(Self.interface(of: attachment))
    iface.transport_name = tcp
    iface.initiatorname = \(initiator)
    node.discovery_type = static
    node.session.scan = manual
    node.session.nr_sessions = 1
    node.session.initial_login_retry_max = 1
    node.session.auth.authmethod = CHAP
    node.session.auth.username = \(chapUser)
    node.session.auth.password = \(chapSecret)
    \(targetLines)\
    \(Self.line(recovery))\
    node.conn[0].address = \(portal.host)
    node.conn[0].port = \(portal.port)
    node.conn[0].startup = manual
    node.conn[0].timeo.login_timeout = 10
    node.conn[0].timeo.logout_timeout = 10
    node.conn[0].timeo.noop_out_interval = 5
    node.conn[0].timeo.noop_out_timeout = 5
    # END RECORD

    """
  }
}
