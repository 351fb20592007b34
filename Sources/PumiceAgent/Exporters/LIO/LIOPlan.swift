import PumiceModel

/// The steps from what LIO has for one volume to what it shall have, in an order that LIO takes.
///
/// Whoever goes is refused first. Whoever comes is let in last: a secret is given when the disk stands behind it, so that
/// an agent or a machine that stops between any two steps leaves nothing open, and nothing that this can't carry on from.
struct LIOPlan {
  private(set) var operations: [ConfigfsOperation] = []
  private let names: LIONames
  /// As it is after `operations`, as far as later steps ask.
  private var present: LIOTargetState
  private let wanted: LIOTargetState

  static func operations(
    from present: LIOTargetState, to wanted: LIOTargetState, _ names: LIONames
  ) -> [ConfigfsOperation] {
    var plan = LIOPlan(names: names, present: present, wanted: wanted)
    plan.refuse()
    plan.takeDownUnit()
    plan.takeDownTarget()
    plan.takeDownBackstores()
    plan.putUpBackstore()
    plan.putUpTarget()
    plan.admit()
    plan.open()
    return plan.operations
  }

  private init(names: LIONames, present: LIOTargetState, wanted: LIOTargetState) {
    self.names = names
    self.present = present
    self.wanted = wanted
  }

  // MARK: What goes

  private mutating func refuse() {
    guard let group = present.group else { return }
    let leaving = group.admissions.filter { wanted.group?.admissions[$0.key] == nil }.sorted { $0.key < $1.key }
    // All doors are shut before the first wait for a session's end, which is what removing an entry means.
    for (initiator, admission) in leaving where admission.secret != nil {
      append(.write(LIOReader.noSecret, to: "\(names.admission(initiator))/auth/password"))
    }
    for (initiator, admission) in leaving {
      let folder = names.admission(initiator)
      for (unit, mapping) in admission.mappings {
        if let link = mapping.link { append(.unlink("\(folder)/\(unit)/\(link.name)")) }
        append(.remove("\(folder)/\(unit)"))
      }
      append(.remove(folder))
      present.group?.admissions[initiator] = nil
    }
  }

  /// Takes the disk from behind the target if it is another one, or is to be opened anew. Sessions stay, without it.
  private mutating func takeDownUnit() {
    for (unit, link) in present.group?.units.sorted(by: { $0.key < $1.key }) ?? [] {
      let folder = "\(names.group)/lun/\(unit)"
      let wantedLink = wanted.group?.units[unit].flatMap { $0 }
      let isStale = link.map { $0 != wantedLink || !staleBackstores.isDisjoint(with: [$0.destination]) } ?? false
      let goes = wanted.group?.units[unit] == nil
      guard isStale || goes else { continue }
      detachMappings(to: folder)
      if let link { append(.unlink("\(folder)/\(link.name)")) }
      present.group?.units[unit] = .some(nil)
      guard goes else { continue }
      append(.remove(folder))
      present.group?.units[unit] = nil
    }
  }

  /// LIO does not give up a unit that an initiator still has.
  private mutating func detachMappings(to unit: String) {
    for (initiator, admission) in present.group?.admissions.sorted(by: { $0.key < $1.key }) ?? [] {
      for (name, mapping) in admission.mappings {
        guard let link = mapping.link, link.destination == unit else { continue }
        append(.unlink("\(names.admission(initiator))/\(name)/\(link.name)"))
        present.group?.admissions[initiator]?.setLink(nil, of: name)
      }
    }
  }

  private mutating func takeDownTarget() {
    guard present.hasTarget, !wanted.hasTarget else { return }
    if let group = present.group {
      for portal in group.portals.sorted() { append(.remove(names.portal(portal))) }
      append(.remove(names.group))
    }
    append(.remove(names.target))
    present.group = nil
    present.hasTarget = false
  }

  private mutating func takeDownBackstores() {
    for plugin in LIOPlugin.allCases where staleBackstores.contains(names.backstore(plugin)) {
      append(.remove(names.backstore(plugin)))
      present.backstores[plugin] = nil
    }
  }

  /// Those that go, or have something else open than they shall.
  private var staleBackstores: Set<String> {
    let stale = present.backstores.filter { plugin, backstore in
      guard let wanted = wanted.backstores[plugin] else { return true }
      let hasAnotherDevice = backstore.device.map { $0 != wanted.device } ?? false
      return backstore.isEnabled
        && (backstore.path != wanted.path || hasAnotherDevice || backstore.isBuffered != wanted.isBuffered)
    }
    return Set(stale.keys.map { names.backstore($0) })
  }

  // MARK: What comes

  private mutating func putUpBackstore() {
    for plugin in LIOPlugin.allCases {
      guard let wanted = wanted.backstores[plugin], wanted != present.backstores[plugin] else { continue }
      let folder = names.backstore(plugin)
      let existing = present.backstores[plugin]
      if existing == nil {
        append(.make(LIONames.adapter(plugin), isShared: true))
        append(.make(folder))
      }
      if existing?.serial != wanted.serial { append(.write(wanted.serial, to: "\(folder)/wwn/vpd_unit_serial")) }
      if existing?.isEnabled != true {
        for (key, value) in LIOTargetState.Backstore.identity {
          append(.write(value, to: "\(folder)/\(key)", isOptional: true))
        }
        append(.write(wanted.path, to: "\(folder)/udev_path"))
        append(.write(Self.control(plugin, wanted), to: "\(folder)/control"))
        append(.write("1", to: "\(folder)/enable"))
      } else if let size = wanted.size, size != existing?.size {
        // In use, too: what LIO answers to READ CAPACITY is this number.
        append(.write("fd_dev_size=\(size.bytes)", to: "\(folder)/control"))
      }
      // Not before: LIO looks at the open disk for them.
      for key in LIOTargetState.Backstore.valueKeys {
        // One that is not there is not known to this kernel.
        let isKnown = existing.map { $0.values[key] != nil } ?? true
        guard let value = wanted.values[key], isKnown, existing?.values[key] != value else { continue }
        append(.write(value, to: "\(folder)/\(key)", isOptional: true))
      }
    }
  }

  private static func control(_ plugin: LIOPlugin, _ backstore: LIOTargetState.Backstore) -> String {
    switch plugin {
    case .iblock: "udev_path=\(backstore.path)"
    case .fileio:
      "fd_dev_name=\(backstore.path),fd_dev_size=\(backstore.size?.bytes ?? 0)\(backstore.isBuffered ? ",fd_buffered_io=1" : "")"
    }
  }

  private mutating func putUpTarget() {
    guard let wanted = wanted.group else { return }
    if !present.hasTarget { append(.make(names.target)) }
    if present.group == nil { append(.make(names.group)) }
    let existing = present.group ?? LIOTargetState.Group()
    if existing.alias != wanted.alias { append(.write(wanted.alias, to: "\(names.group)/param/TargetAlias")) }
    for (key, value) in wanted.values.sorted(by: { $0.key < $1.key }) where existing.values[key] != value {
      append(.write(value, to: "\(names.group)/\(key)"))
    }
    for (unit, link) in wanted.units.sorted(by: { $0.key < $1.key }) {
      let folder = "\(names.group)/lun/\(unit)"
      if existing.units[unit] == nil { append(.make(folder)) }
      if let link, existing.units[unit].flatMap({ $0 }) == nil {
        append(.link("\(folder)/\(link.name)", to: link.destination))
      }
    }
    for portal in wanted.portals.subtracting(existing.portals).sorted() { append(.make(names.portal(portal))) }
  }

  private mutating func admit() {
    for (initiator, wanted) in wanted.group?.admissions.sorted(by: { $0.key < $1.key }) ?? [] {
      let folder = names.admission(initiator)
      let existing = present.group?.admissions[initiator]
      if existing == nil { append(.make(folder)) }
      if existing?.tag ?? "" != wanted.tag { append(.write(wanted.tag, to: "\(folder)/tag")) }
      if let value = wanted.authentication, existing?.authentication != value {
        append(.write(value, to: "\(folder)/attrib/authentication"))
      }
      map(wanted, over: existing, in: folder)
      for (key, old, new) in [
        ("userid_mutual", existing?.targetUser ?? "", wanted.targetUser),
        ("password_mutual", existing?.targetSecret ?? "", wanted.targetSecret),
      ] where old != new {
        append(.write(new.isEmpty ? LIOReader.noSecret : new, to: "\(folder)/auth/\(key)"))
      }
      if existing?.user ?? "" != wanted.user { append(.write(wanted.user, to: "\(folder)/auth/userid")) }
      if let secret = wanted.secret, existing?.secret != secret {
        append(.write(secret, to: "\(folder)/auth/password"))
      }
    }
  }

  private mutating func map(
    _ wanted: LIOTargetState.Admission, over existing: LIOTargetState.Admission?, in folder: String
  ) {
    for (unit, mapping) in existing?.mappings ?? []
    where mapping.link != nil && wanted.mapping(unit)?.link != mapping.link {
      append(.unlink("\(folder)/\(unit)/\(mapping.link?.name ?? "")"))
    }
    for (unit, _) in existing?.mappings ?? [] where wanted.mapping(unit) == nil { append(.remove("\(folder)/\(unit)")) }
    for (unit, mapping) in wanted.mappings {
      let old = existing?.mapping(unit)
      if old == nil { append(.make("\(folder)/\(unit)")) }
      guard let link = mapping.link else { continue }
      let isNew = old?.link != link
      if isNew { append(.link("\(folder)/\(unit)/\(link.name)", to: link.destination)) }
      if isNew || old?.isReadOnly != mapping.isReadOnly {
        append(.write(mapping.isReadOnly ? "1" : "0", to: "\(folder)/\(unit)/write_protect"))
      }
    }
  }

  private mutating func open() {
    guard let wanted = wanted.group else { return }
    if wanted.isEnabled, present.group?.isEnabled != true { append(.write("1", to: "\(names.group)/enable")) }
    for portal in (present.group?.portals ?? []).subtracting(wanted.portals).sorted() {
      append(.remove(names.portal(portal)))
    }
  }

  private mutating func append(_ operation: ConfigfsOperation) { operations.append(operation) }
}

extension LIOTargetState.Admission {
  fileprivate var mappings: [(unit: String, mapping: LIOTargetState.Mapping)] {
    var all = otherMappings
    all[LIONames.unitFolder] = mapping
    return all.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  fileprivate func mapping(_ unit: String) -> LIOTargetState.Mapping? {
    unit == LIONames.unitFolder ? mapping : otherMappings[unit]
  }

  fileprivate mutating func setLink(_ link: LIOTargetState.Link?, of unit: String) {
    if unit == LIONames.unitFolder { mapping?.link = link } else { otherMappings[unit]?.link = link }
  }
}
