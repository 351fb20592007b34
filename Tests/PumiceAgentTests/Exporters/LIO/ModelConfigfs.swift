import Glibc
import PumiceModel
import Synchronization

@testable import PumiceAgent

/// LIO's configfs in memory, with the kernel's rules (6.1: fs/configfs, drivers/target), as far as Pumice meets them.
///
/// What the kernel would take and then crash from, or do at a bad time, is refused as well.
final class ModelConfigfs: Configfs {
  struct Tree: Equatable {
    /// Every folder, with whether somebody made it; the others come and go with one that was made.
    var folders: [String: Bool] = ["core": false]
    var values: [String: String] = [:]
    var links: [String: String] = [:]
  }

  private struct State {
    var tree = Tree()
    /// How many more changes there are before the machine stops.
    var budget = Int.max
    var changes: [ConfigfsOperation] = []
    var reads: [String] = []
  }

  private let state: Mutex<State>

  init(_ tree: Tree = Tree()) {
    var state = State()
    state.tree = tree
    self.state = Mutex(state)
    try? perform(.make("iscsi", isShared: true))
  }

  var tree: Tree { state.withLock(\.tree) }
  var changes: [ConfigfsOperation] { state.withLock(\.changes) }
  /// Folders and files that were looked at.
  var reads: [String] { state.withLock(\.reads) }

  func forgetHistory() {
    state.withLock {
      $0.changes = []
      $0.reads = []
    }
  }

  /// The machine stops after so many more changes.
  func stop(after changes: Int) { state.withLock { $0.budget = changes } }

  // MARK: Configfs

  func list(_ folder: String) throws(StorageError) -> ConfigfsListing? {
    state.withLock { state in
      state.reads.append(folder)
      guard state.tree.folders[folder] != nil else { return nil }
      let prefix = folder + "/"
      func children(_ paths: some Sequence<String>) -> [String] {
        paths.filter { $0.hasPrefix(prefix) && !$0.dropFirst(prefix.count).contains("/") }
          .map { String($0.dropFirst(prefix.count)) }.sorted()
      }
      return ConfigfsListing(
        folders: children(state.tree.folders.keys),
        links: Dictionary(
          uniqueKeysWithValues: children(state.tree.links.keys).map { ($0, state.tree.links[prefix + $0] ?? "") }))
    }
  }

  func value(_ file: String) throws(StorageError) -> String? {
    state.withLock { state in
      state.reads.append(file)
      return state.tree.shown(file)
    }
  }

  func perform(_ operation: ConfigfsOperation) throws(StorageError) {
    try state.withLock { state throws(StorageError) in
      guard state.budget > 0 else { throw StorageError(.failed, "The machine has stopped.") }
      state.budget -= 1
      state.changes.append(operation)
      let number =
        switch operation {
        case .make(let path, let isShared): state.tree.make(path, isShared)
        case .remove(let path): state.tree.remove(path)
        case .write(let value, let path, let isOptional): state.tree.write(value, path, isOptional)
        case .link(let path, let destination): state.tree.link(path, destination)
        case .unlink(let path): state.tree.unlink(path)
        }
      if number != 0 { throw LIOError.changing(operation, number) }
    }
  }
}

extension ModelConfigfs.Tree {
  /// What a file of the kernel says.
  fileprivate func shown(_ file: String) -> String? {
    guard let value = values[file] else { return nil }
    switch file.split(separator: "/").last {
    case "vpd_unit_serial": return "T10 VPD Unit Serial Number: \(value)"
    case "control": return nil
    case "info" where file.hasPrefix("core/"): return info(String(file.dropLast("/info".count)))
    default: return value
    }
  }

  private func info(_ backstore: String) -> String {
    let isEnabled = values["\(backstore)/enable"] == "1"
    let control = control(backstore)
    let status = "Status: \(isEnabled ? "ACTIVATED" : "DEACTIVATED")  Max Queue Depth: 0  SectorSize: 512\n        "
    guard backstore.contains("/fileio_") else {
      return status + (isEnabled ? "iBlock device: sdb" : "") + "  UDEV PATH: \(control["udev_path"] ?? "")"
        + "  readonly: 0\n        " + (isEnabled ? "Major: 8 Minor: 16  CLAIMED: IBLOCK" : "Major: 0 Minor: 0")
    }
    return status
      + "TCM FILEIO ID: 0        File: \(control["fd_dev_name"] ?? "")  Size: \(control["fd_dev_size"] ?? "0")"
      + "  Mode: \(control["fd_buffered_io"] == "1" ? "Buffered-WCE" : "O_DSYNC") Async: 0"
  }

  private func control(_ backstore: String) -> [String: String] {
    let pairs = (values["\(backstore)/control"] ?? "").split(separator: ",").map {
      $0.split(separator: "=", maxSplits: 1)
    }
    return Dictionary(pairs.map { (String($0[0]), String($0[1])) }, uniquingKeysWith: { $1 })
  }

  // MARK: Changes; each gives an error's number, or 0.

  fileprivate mutating func make(_ path: String, _ isShared: Bool) -> Int32 {
    if folders[path] != nil { return isShared ? 0 : EEXIST }
    let parts = path.split(separator: "/").map(String.init)
    guard parts.count == 1 || folders[parts.dropLast().joined(separator: "/")] != nil else { return ENOENT }
    var made: (folders: [String], values: [String: String])?
    switch (parts.first, parts.count, parts.dropLast().last) {
    case ("core", 2, _): made = ([], ["hba_info": "HBA Index: 1"])
    case ("core", 3, _): made = (["attrib", "wwn", "statistics"], Self.backstoreValues)
    case ("iscsi", 1, _): made = (["discovery_auth"], [:])
    case ("iscsi", 2, _): made = (["fabric_statistics", "param"], [:])
    case ("iscsi", 3, _): made = (["acls", "attrib", "auth", "lun", "np", "param"], Self.groupValues)
    case ("iscsi", 5, "lun"): made = (["statistics"], [:])
    case ("iscsi", 5, "np"): made = ([], [:])
    case ("iscsi", 5, "acls"):
      made = (["attrib", "auth", "fabric_statistics", "param"], Self.admissionValues)
    case ("iscsi", 6, _) where parts[3] == "acls": made = (["statistics"], ["write_protect": ""])
    default: break
    }
    guard let made else { return EPERM }
    folders[path] = true
    for folder in made.folders { folders["\(path)/\(folder)"] = false }
    for (key, value) in made.values { values["\(path)/\(key)"] = value }
    return 0
  }

  private static let backstoreValues = [
    "enable": "0", "info": "", "udev_path": "", "control": "", "wwn/vpd_unit_serial": "", "wwn/vendor_id": "LIO-ORG",
    "wwn/product_id": "", "wwn/revision": "4.0", "attrib/emulate_tpu": "0", "attrib/emulate_tpws": "0",
    "attrib/emulate_3pc": "1",
  ]
  private static let groupValues = [
    "enable": "0", "param/TargetAlias": "LIO Target", "attrib/authentication": "1", "attrib/generate_node_acls": "0",
    "attrib/cache_dynamic_acls": "0", "attrib/demo_mode_write_protect": "1", "attrib/prod_mode_write_protect": "0",
    "attrib/demo_mode_discovery": "1",
  ]
  private static let admissionValues = [
    "tag": "", "auth/userid": "", "auth/password": "", "auth/userid_mutual": "", "auth/password_mutual": "",
    "attrib/authentication": "-1", "info": "No active iSCSI Session",
  ]

  fileprivate mutating func remove(_ path: String) -> Int32 {
    guard let wasMade = folders[path] else { return 0 }
    let inside = path + "/"
    guard wasMade else { return EPERM }
    if links.values.contains(path) { return EBUSY }
    if folders.contains(where: { $0.key.hasPrefix(inside) && $0.value }) { return ENOTEMPTY }
    if links.keys.contains(where: { $0.hasPrefix(inside) }) { return ENOTEMPTY }
    folders = folders.filter { $0.key != path && !$0.key.hasPrefix(inside) }
    values = values.filter { !$0.key.hasPrefix(inside) }
    return 0
  }

  fileprivate mutating func write(_ value: String, _ path: String, _ isOptional: Bool) -> Int32 {
    guard values[path] != nil else { return isOptional ? 0 : ENOENT }
    guard path.hasPrefix("core/") else {
      if path.hasSuffix("/write_protect"), values[path] == "" { return 0 }
      values[path] = value
      return 0
    }
    let backstore = path.split(separator: "/").prefix(3).joined(separator: "/")
    let isEnabled = values["\(backstore)/enable"] == "1"
    if path.contains("/wwn/"), links.values.contains(backstore) { return EINVAL }
    // It would look at a disk that it does not have.
    if path.contains("/emulate_tp"), !isEnabled { return EFAULT }
    switch path.split(separator: "/").last {
    case "enable":
      if isEnabled { return EEXIST }
      let control = control(backstore)
      let isFile = backstore.contains("/fileio_")
      guard control[isFile ? "fd_dev_name" : "udev_path"] != nil, !isFile || control["fd_dev_size"] != nil else {
        return EINVAL
      }
    case "control":
      if isEnabled, value.contains("udev_path=") || value.contains("fd_dev_name=") { return EEXIST }
      values[path] = values[path].map { $0.isEmpty ? value : "\($0),\(value)" }
      return 0
    default: break
    }
    values[path] = value
    return 0
  }

  fileprivate mutating func link(_ path: String, _ destination: String) -> Int32 {
    let folder = path.split(separator: "/").dropLast().joined(separator: "/")
    guard folders[folder] == true, folders[destination] != nil else { return ENOENT }
    if links.keys.contains(where: { $0.hasPrefix(folder + "/") }) { return EEXIST }
    if folder.contains("/acls/") {
      let group = folder.split(separator: "/").prefix(3).joined(separator: "/")
      guard destination.hasPrefix("\(group)/lun/"), links.keys.contains(where: { $0.hasPrefix(destination + "/") })
      else { return EINVAL }
      values["\(folder)/write_protect"] = values["\(group)/attrib/prod_mode_write_protect"]
    } else {
      guard values["\(destination)/enable"] == "1" else { return ENODEV }
    }
    links[path] = destination
    return 0
  }

  fileprivate mutating func unlink(_ path: String) -> Int32 {
    guard links[path] != nil else { return 0 }
    let folder = path.split(separator: "/").dropLast().joined(separator: "/")
    // The kernel would allow it, and leave initiators with a unit that leads nowhere.
    if links.values.contains(folder) { return EBUSY }
    links[path] = nil
    if folder.contains("/acls/") { values["\(folder)/write_protect"] = "" }
    return 0
  }
}

extension ModelConfigfs.Tree {
  /// Who gets in, with which secret, and to what.
  struct Login: Hashable {
    var target: String
    var initiator: String
    var user: String
    var secret: String
    /// The paths of the disks that it sees, with whether it can't write to them.
    var disks: [String: Bool]
  }

  /// Everybody who could log in now. One who needs no secret has an empty one.
  var logins: Set<Login> {
    var logins: Set<Login> = []
    for group in folders.keys
    where group.hasPrefix("iscsi/") && group.split(separator: "/").count == 3 && values["\(group)/enable"] == "1" {
      let target = group.split(separator: "/")[1]
      if values["\(group)/attrib/generate_node_acls"] != "0" {
        logins.insert(Login(target: "\(target)", initiator: "*", user: "", secret: "", disks: [:]))
      }
      let acls = "\(group)/acls/"
      for folder in folders.keys where folder.hasPrefix(acls) && !folder.dropFirst(acls.count).contains("/") {
        let asksForSecret =
          values["\(folder)/attrib/authentication"] == "1"
          || values["\(folder)/attrib/authentication"] == "-1" && values["\(group)/attrib/authentication"] == "1"
        let secret = values["\(folder)/auth/password"] ?? ""
        guard !asksForSecret || !LIOReader.isUnset(secret) && values["\(folder)/auth/userid"] != "" else { continue }
        var disks: [String: Bool] = [:]
        for (link, unit) in links where link.hasPrefix(folder + "/") {
          let mapping = link.split(separator: "/").dropLast().joined(separator: "/")
          for (other, backstore) in links where other.hasPrefix(unit + "/") {
            disks[values["\(backstore)/udev_path"] ?? ""] = values["\(mapping)/write_protect"] == "1"
          }
        }
        logins.insert(
          Login(
            target: "\(target)", initiator: String(folder.dropFirst(acls.count)),
            user: asksForSecret ? values["\(folder)/auth/userid"] ?? "" : "", secret: asksForSecret ? secret : "",
            disks: disks))
      }
    }
    return logins
  }
}
