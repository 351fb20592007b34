import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

/// The steps, against LIO's rules in memory.
struct LIOPlanTests {
  private static let volume = VolumeID.random()
  private static let names = LIONames(prefix: "iqn.2026-11.io.pumice", volume: volume)
  private static let portals = ["127.0.0.1:3260", "[::1]:3260"]
  private static let file = LIODisk(
    plugin: .fileio, path: "/volumes/a", size: .mebibytes(64), canDiscard: true)
  private static let device = LIODisk(
    plugin: .iblock, path: "/dev/vg/a", device: "8:16", canDiscard: false)

  private static func export(_ initiator: String = "iqn.2026-11.org.example:a", readOnly: Bool = false) -> Export {
    let attachment = AttachmentID.random()
    return Export(
      attachment: attachment, volume: volume, revision: 1, backend: "b", pool: "b", path: "/unused",
      initiator: initiator, readOnly: readOnly, chapUser: "pumice-\(attachment)",
      chapSecret: "secret-\(initiator.suffix(4))")
  }

  // MARK: Doing it

  private static func state(_ model: ModelConfigfs) throws -> LIOTargetState {
    try LIOReader(configfs: model, names: names).state()
  }

  private static func plan(
    ensuring export: Export, _ disk: LIODisk, portals: [String] = portals, _ model: ModelConfigfs
  ) throws -> [ConfigfsOperation] {
    let present = try state(model)
    return LIOPlan.operations(
      from: present, to: try present.offering(export, disk, portals: portals, names), names)
  }

  private static func plan(
    removing export: Export, isLast: Bool, _ model: ModelConfigfs
  ) throws -> [ConfigfsOperation] {
    let present = try state(model)
    return LIOPlan.operations(from: present, to: try present.withdrawing(export, isLast: isLast, names), names)
  }

  private static func ensure(
    _ export: Export, _ disk: LIODisk, portals: [String] = portals, _ model: ModelConfigfs
  ) throws {
    for operation in try plan(ensuring: export, disk, portals: portals, model) { try model.perform(operation) }
  }

  private static func remove(_ export: Export, isLast: Bool, _ model: ModelConfigfs) throws {
    for operation in try plan(removing: export, isLast: isLast, model) { try model.perform(operation) }
  }

  private static func offered(_ model: ModelConfigfs) throws -> [AttachmentID] {
    try LIOReader(configfs: model, names: names).group(withValues: false)?.offered.compactMap {
      $0.admission.attachment(of: $0.initiator)
    }.sorted() ?? []
  }

  // MARK: Claims

  @Test(arguments: [file, device]) func anExportLetsOneInitiatorInWithItsSecret(_ disk: LIODisk) throws {
    let model = ModelConfigfs()
    let export = Self.export()
    try Self.ensure(export, disk, model)
    #expect(
      model.tree.logins == [
        .init(
          target: "iqn.2026-11.io.pumice:volume-\(Self.volume)", initiator: export.initiator, user: export.chapUser,
          secret: export.chapSecret, disks: [disk.path: false])
      ])
    let state = try Self.state(model)
    #expect(state.group?.portals == Set(Self.portals))
    #expect(state.backstores[disk.plugin]?.serial == "\(Self.volume)")
    #expect(state.backstores[disk.plugin]?.values["attrib/emulate_tpu"] == (disk.canDiscard ? "1" : "0"))
    #expect(state.backstores[disk.plugin]?.size == disk.size)
    #expect(try Self.offered(model) == [export.attachment])
  }

  @Test func theTargetIsEnabledAfterAllElse() throws {
    let operations = try Self.plan(ensuring: Self.export(), Self.file, ModelConfigfs())
    #expect(operations.last == .write("1", to: "\(Self.names.group)/enable"))
    let secret = try #require(operations.firstIndex { $0.path.hasSuffix("auth/password") })
    let disk = try #require(operations.firstIndex { $0.path.hasSuffix("lun_1/volume") && $0.path.contains("/acls/") })
    #expect(disk < secret)
  }

  @Test func theTargetShowsItselfOnlyToInitiatorsThatAsk() throws {
    let model = ModelConfigfs()
    var export = Self.export()
    let folder = "\(Self.names.admission(export.initiator))/auth"
    try Self.ensure(export, Self.file, model)
    #expect(try model.value("\(folder)/userid_mutual") == "")
    export.targetAccount = TargetAccount(user: "pumice-target", secret: "another-secret16")
    try Self.ensure(export, Self.file, model)
    #expect(try model.value("\(folder)/userid_mutual") == "pumice-target")
    #expect(try model.value("\(folder)/password_mutual") == "another-secret16")
    #expect(try Self.plan(ensuring: export, Self.file, model) == [])
    export.targetAccount = nil
    try Self.ensure(export, Self.file, model)
    #expect(try model.value("\(folder)/password_mutual") == LIOReader.noSecret)
    #expect(try Self.plan(ensuring: export, Self.file, model) == [])
  }

  @Test func nothingIsDoneTwice() throws {
    let model = ModelConfigfs()
    let export = Self.export()
    try Self.ensure(export, Self.file, model)
    #expect(try Self.plan(ensuring: export, Self.file, model) == [])
    try Self.remove(export, isLast: true, model)
    #expect(try Self.plan(removing: export, isLast: true, model) == [])
  }

  @Test func nothingButTheAdapterIsLeft() throws {
    let model = ModelConfigfs()
    let export = Self.export()
    let before = model.tree.folders
    try Self.ensure(export, Self.device, model)
    try Self.remove(export, isLast: true, model)
    #expect(Set(model.tree.folders.keys).subtracting(before.keys) == ["core/iblock_9776"])
    #expect(model.tree.links.isEmpty)
  }

  @Test func growthIsOneWrite() throws {
    let model = ModelConfigfs()
    let export = Self.export()
    try Self.ensure(export, Self.file, model)
    var grown = Self.file
    grown.size = .mebibytes(96)
    #expect(
      try Self.plan(ensuring: export, grown, model) == [
        .write("fd_dev_size=\(96 << 20)", to: "\(Self.names.backstore(.fileio))/control")
      ])
    try Self.ensure(export, grown, model)
    #expect(try Self.state(model).backstores[.fileio]?.size == .mebibytes(96))
  }

  @Test func aReadOnlyExportIsReadOnlyForItsInitiatorAlone() throws {
    let model = ModelConfigfs()
    let (reader, writer) = (Self.export("iqn.2026-11.org.example:r", readOnly: true), Self.export())
    try Self.ensure(reader, Self.file, model)
    try Self.ensure(writer, Self.file, model)
    let disks = Dictionary(uniqueKeysWithValues: model.tree.logins.map { ($0.initiator, $0.disks) })
    #expect(disks == [reader.initiator: ["/volumes/a": true], writer.initiator: ["/volumes/a": false]])
  }

  @Test func namesAreInLowerCaseAndFoundInAnyCase() throws {
    let names = LIONames(prefix: "IQN.2026-11.io.Pumice", volume: Self.volume)
    #expect(names == Self.names)
    let model = ModelConfigfs()
    let export = Self.export("iqn.2026-11.ORG.example:A")
    try Self.ensure(export, Self.file, model)
    #expect(model.tree.logins.map(\.initiator) == ["iqn.2026-11.org.example:a"])
    #expect(try Self.plan(ensuring: export, Self.file, model) == [])
    try Self.remove(export, isLast: false, model)
    #expect(model.tree.logins.isEmpty)
  }

  @Test func portalsFollowTheConfiguration() throws {
    let model = ModelConfigfs()
    let export = Self.export()
    try Self.ensure(export, Self.file, portals: ["10.0.0.1:3260", "10.0.0.2:3260"], model)
    let operations = try Self.plan(ensuring: export, Self.file, portals: ["10.0.0.2:3260", "10.0.0.3:3260"], model)
    #expect(operations == [.make(Self.names.portal("10.0.0.3:3260")), .remove(Self.names.portal("10.0.0.1:3260"))])
  }

  @Test func aTargetThatWasOpenedByHandIsClosedAgain() throws {
    let model = ModelConfigfs()
    let export = Self.export()
    try Self.ensure(export, Self.file, model)
    let before = model.tree
    try model.perform(.write("0", to: "\(Self.names.group)/attrib/authentication"))
    try model.perform(.write("1", to: "\(Self.names.group)/attrib/generate_node_acls"))
    try model.perform(.write("0", to: "\(Self.names.admission(export.initiator))/attrib/authentication"))
    try Self.ensure(export, Self.file, model)
    #expect(model.tree == before)
  }

  // MARK: Others' objects

  @Test func aTargetMadeByHandUnderOurNameIsAConflictAndStays() throws {
    let model = ModelConfigfs()
    try model.perform(.make(Self.names.target))
    try model.perform(.make(Self.names.group))
    try model.perform(.make("\(Self.names.group)/acls/iqn.2026-11.org.example:x"))
    let before = model.tree
    let ensured = #expect(throws: StorageError.self) { try Self.ensure(Self.export(), Self.file, model) }
    let removed = #expect(throws: StorageError.self) { try Self.remove(Self.export(), isLast: true, model) }
    #expect(ensured?.code == .conflict && removed?.code == .conflict)
    #expect(ensured?.message.contains(Self.names.name) == true)
    #expect(model.tree == before)
  }

  @Test func aSecondPortalGroupIsAConflictAndStays() throws {
    let model = ModelConfigfs()
    let export = Self.export()
    try Self.ensure(export, Self.file, model)
    try model.perform(.make("\(Self.names.target)/tpgt_2"))
    let before = model.tree
    let error = #expect(throws: StorageError.self) { try Self.remove(export, isLast: true, model) }
    #expect(error?.code == .conflict && error?.message.contains("tpgt_2") == true)
    #expect(model.tree == before)
  }

  @Test(arguments: [("wwn/vpd_unit_serial", "another"), ("udev_path", "/dev/other")])
  func aBackstoreMadeByHandUnderOurNameIsAConflictAndStays(_ file: String, _ value: String) throws {
    let model = ModelConfigfs()
    let backstore = Self.names.backstore(.fileio)
    try model.perform(.make(LIONames.adapter(.fileio)))
    try model.perform(.make(backstore))
    try model.perform(.write(value, to: "\(backstore)/\(file)"))
    let before = model.tree
    let error = #expect(throws: StorageError.self) { try Self.ensure(Self.export(), Self.file, model) }
    #expect(error?.code == .conflict && error?.message.contains(backstore) == true)
    try Self.remove(Self.export(), isLast: true, model)
    #expect(model.tree == before)
  }

  @Test func oneInitiatorNameCanNotHaveAVolumeTwice() throws {
    let model = ModelConfigfs()
    let (first, second) = (Self.export(), Self.export())
    try Self.ensure(first, Self.file, model)
    let before = model.tree
    let error = #expect(throws: StorageError.self) { try Self.ensure(second, Self.file, model) }
    #expect(error?.code == .conflict && error?.message.contains("\(first.attachment)") == true)
    try Self.remove(second, isLast: false, model)
    #expect(model.tree == before)
    try Self.remove(first, isLast: false, model)
    try Self.ensure(second, Self.file, model)
    #expect(try Self.offered(model) == [second.attachment])
  }

  // MARK: A stop between any two steps

  /// A way for LIO to be, and what shall be done then.
  struct Situation: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let prepare: @Sendable (ModelConfigfs) throws -> Void
    let change: @Sendable (ModelConfigfs) throws -> [ConfigfsOperation]
  }

  private static let (a, b) = (export("iqn.2026-11.org.example:a"), export("iqn.2026-11.org.example:b", readOnly: true))
  private static var aWithNewSecret: Export {
    Export(
      attachment: a.attachment, volume: a.volume, revision: 2, backend: a.backend, pool: a.pool, path: a.path,
      initiator: a.initiator, readOnly: a.readOnly, chapUser: a.chapUser, chapSecret: "another-secret")
  }
  private static let moved = LIODisk(plugin: .fileio, path: "/moved/a", size: .mebibytes(80), canDiscard: true)

  static let situations: [Situation] = [
    Situation(testDescription: "first export", prepare: { _ in }, change: { try plan(ensuring: a, file, $0) }),
    Situation(
      testDescription: "first export of a device", prepare: { _ in }, change: { try plan(ensuring: a, device, $0) }),
    Situation(
      testDescription: "second export", prepare: { try ensure(b, file, $0) },
      change: { try plan(ensuring: a, file, $0) }),
    Situation(
      testDescription: "new secret",
      prepare: {
        try ensure(b, file, $0)
        try ensure(a, file, $0)
      }, change: { try plan(ensuring: aWithNewSecret, file, $0) }),
    Situation(
      testDescription: "another file",
      prepare: {
        try ensure(b, file, $0)
        try ensure(a, file, $0)
      }, change: { try plan(ensuring: a, moved, $0) }),
    Situation(
      testDescription: "a device instead of a file",
      prepare: {
        try ensure(b, file, $0)
        try ensure(a, file, $0)
      }, change: { try plan(ensuring: a, device, $0) }),
    Situation(
      testDescription: "another portal", prepare: { try ensure(a, file, portals: ["10.0.0.1:3260"], $0) },
      change: { try plan(ensuring: a, file, $0) }),
    Situation(
      testDescription: "removal of one of two",
      prepare: {
        try ensure(b, file, $0)
        try ensure(a, file, $0)
      }, change: { try plan(removing: a, isLast: false, $0) }),
    Situation(
      testDescription: "removal of the last", prepare: { try ensure(a, file, $0) },
      change: { try plan(removing: a, isLast: true, $0) }),
    Situation(
      testDescription: "removal of all at once",
      prepare: {
        try ensure(b, device, $0)
        try ensure(a, device, $0)
      }, change: { try plan(removing: a, isLast: true, $0) }),
  ]

  @Test(arguments: situations) func fromEveryStepOnAnExportCanBeEnsuredAndRemoved(_ situation: Situation) throws {
    let start = ModelConfigfs()
    try situation.prepare(start)
    let operations = try situation.change(start)
    #expect(!operations.isEmpty)
    for count in 0...operations.count {
      for disk in [Self.file, Self.device, Self.moved] {
        let stopped = ModelConfigfs(start.tree)
        for operation in operations.prefix(count) { try stopped.perform(operation) }

        let ensured = ModelConfigfs(stopped.tree)
        try Self.ensure(Self.a, disk, ensured)
        #expect(
          ensured.tree.logins.contains(Self.login(Self.a, disk)), "after \(count) steps, \(disk.path)")
        #expect(try Self.plan(ensuring: Self.a, disk, ensured) == [], "after \(count) steps, \(disk.path)")
        try Self.ensure(Self.b, disk, ensured)
        #expect(ensured.tree.logins == [Self.login(Self.a, disk), Self.login(Self.b, disk)], "after \(count) steps")
      }
      let stopped = ModelConfigfs(start.tree)
      for operation in operations.prefix(count) { try stopped.perform(operation) }
      let others = stopped.tree.logins.filter { $0.initiator != Self.a.initiator }
      try Self.remove(Self.a, isLast: false, stopped)
      #expect(stopped.tree.logins == others, "after \(count) steps")
      #expect(try !Self.offered(stopped).contains(Self.a.attachment), "after \(count) steps")
      try Self.remove(Self.b, isLast: true, stopped)
      #expect(stopped.tree.links.isEmpty && stopped.tree.folders[Self.names.target] == nil, "after \(count) steps")
      #expect(LIOPlugin.allCases.allSatisfy { stopped.tree.folders[Self.names.backstore($0)] == nil })
    }
  }

  @Test(arguments: situations) func atNoStepSomebodyGetsInWhoDidNotAndShallNot(_ situation: Situation) throws {
    let model = ModelConfigfs()
    try situation.prepare(model)
    let before = model.tree.logins
    let operations = try situation.change(model)
    var seen: [Set<ModelConfigfs.Tree.Login>] = []
    for operation in operations {
      try model.perform(operation)
      seen.append(model.tree.logins)
    }
    let allowed = before.union(model.tree.logins)
    for (step, logins) in zip(operations, seen) {
      for login in logins {
        let known = allowed.filter {
          $0.initiator == login.initiator && $0.user == login.user && $0.secret == login.secret
        }
        #expect(!known.isEmpty, "after \(step), \(login) gets in")
        // Fewer disks for a while, but none that are not meant, and none that can be written to and should not.
        for (path, isReadOnly) in login.disks {
          #expect(
            known.contains { allowed in allowed.disks[path].map { !$0 || isReadOnly } ?? false },
            "after \(step), \(login) can do more than it shall")
        }
      }
    }
  }

  private static func login(_ export: Export, _ disk: LIODisk) -> ModelConfigfs.Tree.Login {
    .init(
      target: names.name, initiator: export.initiator, user: export.chapUser, secret: export.chapSecret,
      disks: [disk.path: export.readOnly])
  }
}
