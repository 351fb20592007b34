import PumiceModel
import PumiceWire

/// What shall be, made from what is. Throws `conflict`, and nothing is changed, where somebody else's objects are in the
/// way.
extension LIOTargetState {
  /// The volume is offered to this export's initiator; what other exports have stays, as far as it is there.
  func offering(
    _ export: Export, _ disk: LIODisk, portals: [String], _ names: LIONames
  ) throws(StorageError) -> LIOTargetState {
    try checkOwner(names)
    var wanted = self
    wanted.backstores = [disk.plugin: Backstore(of: disk, names)]
    wanted.hasTarget = true
    var group = group ?? Group()
    group.alias = LIONames.alias
    group.values = LIOReader.groupValues
    group.units[LIONames.unitFolder] = .some(
      Link(name: LIONames.link, destination: names.backstore(disk.plugin)))
    group.portals = Set(portals)
    group.isEnabled = true
    try group.admit(export, names)
    wanted.group = group
    return wanted
  }

  /// The initiator of this export is refused. Without other exports nothing is left.
  func withdrawing(_ export: Export, isLast: Bool, _ names: LIONames) throws(StorageError) -> LIOTargetState {
    try checkTargetOwner(names)
    var wanted = self
    if isLast {
      wanted.hasTarget = false
      wanted.group = nil
      // One that somebody else made under our name was never offered by us.
      wanted.backstores = backstores.filter { $0.value.isForeign(names) }
      return wanted
    }
    guard let group else { return wanted }
    wanted.group?.admissions = group.admissions.filter { initiator, admission in
      guard let attachment = admission.attachment(of: initiator) else {
        return initiator != export.initiator.lowercased()
      }
      return attachment != export.attachment
    }
    return wanted
  }

  // MARK: Whose it is

  private func checkOwner(_ names: LIONames) throws(StorageError) {
    try checkTargetOwner(names)
    for (plugin, backstore) in backstores where backstore.isForeign(names) {
      throw StorageError(
        .conflict,
        "Exporting volume \(names.volume) failed: the LIO backstore \(names.backstore(plugin)) was not made by Pumice (its serial is \"\(backstore.serial)\"). Remove it, if nobody needs it."
      )
    }
  }

  /// A target of ours says so. One that says nothing yet, and has nothing, may have been begun by us.
  private func checkTargetOwner(_ names: LIONames) throws(StorageError) {
    let isOurs = group.map { $0.alias == LIONames.alias || $0.isBlank } ?? true
    guard isOurs, otherGroups.isEmpty else {
      throw StorageError(
        .conflict,
        "The LIO target \(names.name) was not made by Pumice, or has been added to by hand, so it is left alone. Remove \(otherGroups.first ?? "it"), if nobody needs it."
      )
    }
  }
}

extension LIOTargetState.Backstore {
  /// What is written when a backstore is made; not while it is exported, since guests remember it.
  static let identity = [
    ("wwn/vendor_id", "PUMICE"), ("wwn/product_id", "VOLUME"), ("wwn/revision", "1"),
  ]
  /// Whether guests can give space back, and whether there is EXTENDED COPY, by which an initiator could name other disks.
  static let valueKeys = ["attrib/emulate_tpu", "attrib/emulate_tpws", "attrib/emulate_3pc"]

  init(of disk: LIODisk, _ names: LIONames) {
    let discard = disk.canDiscard ? "1" : "0"
    self.init(
      serial: "\(names.volume)", path: disk.path, isEnabled: true, device: disk.device, size: disk.size,
      // With a write cache that initiators know of and flush: SYNCHRONIZE CACHE and FUA end in vfs_fsync_range
      // (target_core_file.c). Otherwise each write would wait for the disk (O_DSYNC).
      isBuffered: disk.plugin == .fileio,
      values: [
        "attrib/emulate_tpu": discard, "attrib/emulate_tpws": discard, "attrib/emulate_3pc": "0",
      ])
  }

  /// The serial is the first thing that is written to a backstore of ours.
  func isForeign(_ names: LIONames) -> Bool {
    serial.isEmpty ? isEnabled || !path.isEmpty : serial != "\(names.volume)"
  }
}

extension LIOTargetState.Group {
  fileprivate mutating func admit(_ export: Export, _ names: LIONames) throws(StorageError) {
    let initiator = export.initiator.lowercased()
    let present = admissions[initiator]
    if let other = present?.attachment(of: initiator), other != export.attachment {
      throw StorageError(
        .conflict,
        "Exporting volume \(names.volume) to \(export.initiator) failed: attachment \(other) has it under this initiator name already, and LIO keeps one secret for each."
      )
    }
    admissions = admissions.filter { $0.value.attachment(of: $0.key) != export.attachment }
    admissions[initiator] = LIOTargetState.Admission(
      tag: "\(export.attachment)", user: export.chapUser, secret: export.chapSecret,
      targetUser: export.targetAccount?.user ?? "", targetSecret: export.targetAccount?.secret ?? "",
      mapping: LIOTargetState.Mapping(
        link: LIOTargetState.Link(name: LIONames.link, destination: names.unit), isReadOnly: export.readOnly),
      authentication: present?.authentication == "0" ? "-1" : present?.authentication)
  }
}
