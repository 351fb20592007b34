import Glibc
import PumiceModel

/// open-iscsi's files of node records. Every call blocks.
///
/// Records are written here rather than through `iscsiadm -o update`, which takes secrets only as arguments, where every
/// user of the machine can read them; and a rename leaves no half of a record.
struct NodeDatabase: Sendable {
  /// The folder that has `nodes/`.
  let root: String

  /// Where a record was found.
  struct Entry: Sendable, Hashable {
    let target: String
    /// The name of its folder: `host,port,group`.
    let portal: String
    let attachment: AttachmentID

    var path: String { "\(target)/\(portal)/\(NodeRecord.interface(of: attachment))" }
  }

  /// Debian and upstream keep them below /etc/iscsi, Fedora and its kin below /var/lib/iscsi.
  static var standardRoot: String { access("/var/lib/iscsi/nodes", F_OK) == 0 ? "/var/lib/iscsi" : "/etc/iscsi" }

  private var nodes: String { "\(root)/nodes" }

  /// Whether the record is there, word for word.
  func holds(_ record: NodeRecord) -> Bool {
    (try? String(contentsOfFile: "\(nodes)/\(record.path)")) == record.text
  }

  /// When it returns, the record is there in place of an older one, whole and readable by its owner only.
  func write(_ record: NodeRecord) throws(StorageError) {
    let attempt = "Writing the node record of \(record.target) at \(record.portal)"
    guard access(root, F_OK) == 0 else {
      throw StorageError(.missingPart, "\(attempt) failed: there is no \(root). Is open-iscsi installed?")
    }
    do throws(StorageError) {
      for folder in ["", record.targetFolder, record.folder] {
        guard mkdir("\(nodes)/\(folder)", 0o700) == 0 || errno == EEXIST else { throw Self.error(attempt) }
      }
      try put(record.text, at: "nodes/\(record.path)", attempt)
    } catch {
      tidy(record.entry)
      throw error
    }
  }

  /// Every record that was made for an attachment of whomever.
  func entries() -> [Entry] {
    var entries: [Entry] = []
    for target in folderNames(nodes) {
      for portal in folderNames("\(nodes)/\(target)") {
        for name in folderNames("\(nodes)/\(target)/\(portal)") {
          guard let attachment = NodeRecord.attachment(ofInterface: name) else { continue }
          entries.append(Entry(target: target, portal: portal, attachment: attachment))
        }
      }
    }
    return entries
  }

  /// The initiator name in a record.
  func initiator(of entry: Entry) -> String? {
    guard let text = try? String(contentsOfFile: "\(nodes)/\(entry.path)") else { return nil }
    let line = text.split(separator: "\n").first { $0.hasPrefix("iface.initiatorname = ") }
    return line?.split(separator: " ").last.map(String.init)
  }

  /// Whether the record is of one of several paths.
  func hasBrothers(_ entry: Entry) -> Bool {
    (try? String(contentsOfFile: "\(nodes)/\(entry.path)"))?.contains(NodeRecord.line(.failsOver)) ?? false
  }

  /// When it returns, there is no such record. Folders that are empty then go with it.
  func remove(_ entry: Entry) throws(StorageError) {
    guard unlink("\(nodes)/\(entry.path)") == 0 || errno == ENOENT || errno == ENOTDIR else {
      throw Self.error("Deleting the node record of \(entry.target) at \(entry.portal)")
    }
    tidy(entry)
  }

  private func tidy(_ entry: Entry) {
    rmdir("\(nodes)/\(entry.target)/\(entry.portal)")
    rmdir("\(nodes)/\(entry.target)")
  }

  // MARK: Interfaces

  /// Makes the interface known by which a session was made: iscsiadm logs a session out only then. To be withdrawn soon,
  /// since a discovery without an interface would make records for this one.
  func lendInterface(of attachment: AttachmentID) throws(StorageError) {
    let name = NodeRecord.interface(of: attachment)
    guard mkdir("\(root)/ifaces", 0o700) == 0 || errno == EEXIST else { throw Self.error("Making \(root)/ifaces") }
    try put(
      "iface.iscsi_ifacename = \(name)\niface.transport_name = tcp\n", at: "ifaces/\(name)",
      "Lending the interface \(name)")
  }

  /// Content when there was none.
  func withdrawInterface(of attachment: AttachmentID) throws(StorageError) {
    let path = "\(root)/ifaces/\(NodeRecord.interface(of: attachment))"
    guard unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR else { throw Self.error("Deleting \(path)") }
  }

  // MARK: Files

  private func put(_ text: String, at path: String, _ attempt: String) throws(StorageError) {
    // Not beside the file: open-iscsi takes every file there for a record. Each path has its own, since those of one
    // attachment are written at once; its name is within the 255 bytes of a file system's.
    let words = path.split(separator: "/")
    let temporary = "\(root)/.\(words[0])-\(words.dropFirst().suffix(2).joined(separator: "-")).new"
    unlink(temporary)
    let file = open(temporary, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw Self.error(attempt) }
    do throws(StorageError) {
      defer { close(file) }
      let bytes = Array(text.utf8)
      guard Glibc.write(file, bytes, bytes.count) == bytes.count, fsync(file) == 0 else { throw Self.error(attempt) }
    } catch {
      unlink(temporary)
      throw error
    }
    guard rename(temporary, "\(root)/\(path)") == 0 else {
      let error = Self.error(attempt)
      unlink(temporary)
      throw error
    }
  }

  /// See open(2), rename(2), unlink(2).
  private static func error(_ attempt: String) -> StorageError {
    let number = errno
    let code: StorageError.Code =
      switch number {
      case ENOSPC, EDQUOT: .noSpace
      case EACCES, EPERM, EROFS: .forbidden
      // Another call has just tidied the folder away.
      case ENOENT: .unavailable
      default: .failed
      }
    return StorageError(code, "\(attempt) failed: \(String(cString: strerror(number))).")
  }
}

extension NodeRecord {
  var entry: NodeDatabase.Entry {
    NodeDatabase.Entry(target: target, portal: "\(portal.host),\(portal.port),1", attachment: attachment)
  }
}
