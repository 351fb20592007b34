import PumiceModel

/// Reads what configfs has for one volume, and only that.
struct LIOReader: Sendable {
  let configfs: any Configfs
  let names: LIONames

  /// Values that the kernel has otherwise, and that are set right, by their place below the portal group.
  static let groupValues = [
    // CHAP is asked for, and nobody gets in without an entry of their own.
    "attrib/authentication": "1", "attrib/generate_node_acls": "0", "attrib/cache_dynamic_acls": "0",
    "attrib/demo_mode_write_protect": "1",
    // A logical unit that has just been given to an initiator is read-only until it is said otherwise.
    "attrib/prod_mode_write_protect": "1",
    // Only those who may log in learn that the target exists.
    "attrib/demo_mode_discovery": "0",
  ]

  func state() throws(StorageError) -> LIOTargetState {
    var state = LIOTargetState()
    for plugin in LIOPlugin.allCases {
      state.backstores[plugin] = try backstore(plugin)
    }
    guard let listing = try configfs.list(names.target) else { return state }
    state.hasTarget = true
    state.otherGroups = listing.folders.filter { $0.hasPrefix("tpgt_") && $0 != "tpgt_1" }.sorted()
    state.group = try group(withValues: true)
    return state
  }

  /// - Parameter withValues: Whether to look at what decides how initiators log in. Not needed to list them.
  func group(withValues: Bool) throws(StorageError) -> LIOTargetState.Group? {
    guard let enable = try configfs.value("\(names.group)/enable") else { return nil }
    var group = LIOTargetState.Group()
    group.isEnabled = enable == "1"
    group.alias = try configfs.value("\(names.group)/param/TargetAlias") ?? ""
    for unit in try folders("\(names.group)/lun", beginningWith: "lun_") {
      group.units[unit] = .some(try link(in: "\(names.group)/lun/\(unit)"))
    }
    for initiator in try folders("\(names.group)/acls") {
      group.admissions[initiator] = try admission(initiator, withValues: withValues)
    }
    guard withValues else { return group }
    group.portals = Set(try folders("\(names.group)/np"))
    for key in Self.groupValues.keys { group.values[key] = try configfs.value("\(names.group)/\(key)") }
    return group
  }

  private func admission(_ initiator: String, withValues: Bool) throws(StorageError) -> LIOTargetState.Admission {
    let folder = names.admission(initiator)
    var admission = LIOTargetState.Admission()
    admission.tag = try configfs.value("\(folder)/tag") ?? ""
    admission.user = try configfs.value("\(folder)/auth/userid") ?? ""
    admission.secret = try configfs.value("\(folder)/auth/password").flatMap { Self.isUnset($0) ? nil : $0 }
    if withValues {
      let (user, secret) = (
        try configfs.value("\(folder)/auth/userid_mutual") ?? "",
        try configfs.value("\(folder)/auth/password_mutual") ?? ""
      )
      admission.targetUser = Self.isUnset(user) ? "" : user
      admission.targetSecret = Self.isUnset(secret) ? "" : secret
    }
    for unit in try folders(folder, beginningWith: "lun_") {
      let mapping = LIOTargetState.Mapping(
        link: try link(in: "\(folder)/\(unit)"),
        isReadOnly: try configfs.value("\(folder)/\(unit)/write_protect") == "1")
      if unit == LIONames.unitFolder { admission.mapping = mapping } else { admission.otherMappings[unit] = mapping }
    }
    if withValues { admission.authentication = try configfs.value("\(folder)/attrib/authentication") }
    return admission
  }

  /// LIO takes whatever begins so for no secret at all.
  static let noSecret = "NULL"

  static func isUnset(_ secret: String) -> Bool { secret.isEmpty || secret.hasPrefix(noSecret) }

  // MARK: Backstores

  private func backstore(_ plugin: LIOPlugin) throws(StorageError) -> LIOTargetState.Backstore? {
    let folder = names.backstore(plugin)
    guard let enable = try configfs.value("\(folder)/enable") else { return nil }
    var backstore = LIOTargetState.Backstore()
    backstore.isEnabled = enable == "1"
    backstore.serial = Self.serial(try configfs.value("\(folder)/wwn/vpd_unit_serial") ?? "")
    backstore.path = try configfs.value("\(folder)/udev_path") ?? ""
    let info = try configfs.value("\(folder)/info") ?? ""
    switch plugin {
    case .iblock: backstore.device = Self.device(info)
    case .fileio:
      backstore.size = Self.size(info)
      backstore.isBuffered = info.contains("Mode: Buffered-WCE")
    }
    for key in LIOTargetState.Backstore.valueKeys {
      backstore.values[key] = try configfs.value("\(folder)/\(key)")
    }
    return backstore
  }

  /// `T10 VPD Unit Serial Number: …`
  static func serial(_ value: String) -> String {
    guard let colon = value.firstIndex(of: ":") else { return "" }
    return String(value[colon...].dropFirst(2))
  }

  /// `… Major: 252 Minor: 3  CLAIMED: IBLOCK`; both are 0 while it is not enabled.
  static func device(_ info: String) -> String? {
    guard let major = number(after: "Major: ", in: info), let minor = number(after: "Minor: ", in: info), major > 0
    else { return nil }
    return "\(major):\(minor)"
  }

  /// `… File: /a/path  Size: 67108864  Mode: O_DSYNC Async: 0`
  static func size(_ info: String) -> ByteCount? {
    number(after: "  Size: ", in: info).map { ByteCount($0) }
  }

  /// After the last of these words, since a path before it may have them too.
  private static func number(after words: String, in text: String) -> Int64? {
    let text = Array(text.utf8)
    let words = Array(words.utf8)
    guard text.count >= words.count else { return nil }
    for start in stride(from: text.count - words.count, through: 0, by: -1)
    where text[start..<(start + words.count)].elementsEqual(words) {
      let digits = text[(start + words.count)...].prefix { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
      return Int64(String(decoding: digits, as: UTF8.self))
    }
    return nil
  }

  // MARK: Folders

  private func folders(_ folder: String, beginningWith prefix: String = "") throws(StorageError) -> [String] {
    try configfs.list(folder)?.folders.filter { $0.hasPrefix(prefix) } ?? []
  }

  private func link(in folder: String) throws(StorageError) -> LIOTargetState.Link? {
    try configfs.list(folder)?.links.min { $0.key < $1.key }.map {
      LIOTargetState.Link(name: $0.key, destination: $0.value)
    }
  }
}
