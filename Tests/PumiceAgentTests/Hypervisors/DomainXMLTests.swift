import PumiceModel
import Testing

@testable import PumiceAgent

@Suite struct DomainXMLTests {
  let instance = InstanceID.random()

  @Test func aRealDomainIsRead() throws {
    let live = try DomainXML(domainFixture("domain-live-with-iscsi.xml"))
    #expect(live.isLive)
    #expect(live.deviceNames == ["vdb"])
    #expect(live.hasVirtIOSCSIController)
    let disk = try #require(live.disks.first)
    #expect(disk.alias == "ua-vol-7f3c")
    #expect(disk.serial == "0f3a7b1c-2222-4b4b-8")
    #expect(disk.device == "vdb")
    #expect(disk.bus == .virtio)
    #expect(
      disk.location
        == .iscsi(
          host: "127.0.0.1", port: 13260, name: "iqn.2024-01.org.example:vol1/1",
          initiator: "iqn.2024-01.org.example:host-a", user: "u1"))
    #expect(!disk.isReadOnly)

    #expect(try !DomainXML(domainFixture("domain-inactive-with-iscsi.xml")).isLive)
    #expect(try DomainXML(domainFixture("domain-live.xml")).disks.isEmpty)
    #expect(throws: StorageError.self) { try DomainXML("<network/>") }
  }

  @Test func somebodyElsesAliasIsNotOurs() throws {
    let live = try DomainXML(domainFixture("domain-live-with-iscsi.xml"))
    #expect(live.disks.first?.attachment == nil)
    #expect(DomainState(live: live, stored: nil).pluggedDisks(of: instance).isEmpty)
    let id = AttachmentID.random()
    #expect(DiskXML.attachment(ofAlias: "ua-\(id)") == id)
    #expect(DiskXML.attachment(ofAlias: "ua-\(id)".uppercased()) == nil)
    #expect(DiskXML.attachment(ofAlias: "ua-\(id.description.filter { $0 != "-" })") == nil)
    #expect(DiskXML.attachment(ofAlias: "\(id)") == nil)
  }

  @Test func anISCSIDiskSaysAllThatItMust() throws {
    let disk = Disk.make(source: .make(portal: "[2001:db8::1]:13260", user: "u<&>"), readOnly: true)
    let built = try DiskXML(disk, at: DiskTarget(name: "vdc", bus: .virtio))
    // As libvirt will see it.
    let read = DiskXML(try XMLElement(parsing: built.element.serialized(), as: "The disk"))
    #expect(read.attachment == disk.attachment)
    #expect(read.volume == disk.volume)
    #expect(read.device == "vdc")
    #expect(read.isReadOnly)
    #expect(try read.difference(from: disk) == nil)
    let source = try #require(read.element.first("source"))
    #expect(source["protocol"] == "iscsi")
    #expect(source["name"] == "iqn.2026-01.org.example:volume-1/1")
    #expect(source.first("host")?["name"] == "2001:db8::1")
    #expect(source.first("host")?["port"] == "13260")
    #expect(source.first("initiator", "iqn")?["name"] == "iqn.2026-01.org.example:node-1")
    #expect(source.first("auth")?["username"] == "u<&>")
    #expect(source.first("auth", "secret")?["uuid"] == disk.attachment.description)
    let driver = try #require(read.element.first("driver"))
    #expect(driver["cache"] == "none")
    #expect(driver["error_policy"] == "stop")
    #expect(driver["rerror_policy"] == "report")
    #expect(driver["io"] == nil)
    #expect(try !built.element.serialized().contains("a long secret"))
  }

  @Test func devicesAndFilesSayHowTheyAreRead() throws {
    let target = DiskTarget(name: "vda", bus: .virtio)
    let block = try DiskXML(.make(source: .block(path: "/dev/vg/lv")), at: target).element
    #expect(block["type"] == "block")
    #expect(block.first("source")?["dev"] == "/dev/vg/lv")
    #expect(block.first("driver")?["io"] == "native")
    let file = try DiskXML(.make(source: .file(path: "/a b")), at: target).element
    #expect(file["type"] == "file")
    #expect(file.first("source")?["file"] == "/a b")
    #expect(file.first("driver")?["io"] == "threads")
  }

  @Test(arguments: [
    DiskSource.memory("x"), .file(path: "relative"), .make(portal: ""), .make(portal: ":1"), .make(portal: "h:x"),
    .make(portal: "h:0"), .make(portal: "h:65536"), .make(portal: "[::1"), .make(portal: "[::1]3260"), .make(iqn: ""),
    .make(iqn: "iqn.2026-01.x:a/b"),
  ])
  func whatCantBeASourceIsRefused(source: DiskSource) {
    #expect(throws: StorageError.self) {
      try DiskXML(.make(source: source), at: DiskTarget(name: "vda", bus: .virtio))
    }
  }

  @Test func aPortalMayLackItsPort() throws {
    #expect(try DiskLocation.split(portal: "host") == ("host", 3260))
    #expect(try DiskLocation.split(portal: "[::1]") == ("::1", 3260))
  }

  @Test func theFirstFreeNameIsTaken() throws {
    #expect(DiskTarget(firstFreeOn: .virtio, besides: []).name == "vda")
    #expect(DiskTarget(firstFreeOn: .virtio, besides: ["vda", "vdc", "sdb"]).name == "vdb")
    #expect(DiskTarget(firstFreeOn: .scsi, besides: ["vda"]).name == "sda")
    var taken: Set<String> = []
    for _ in 0..<(26 + 26 * 26) { taken.insert(DiskTarget(firstFreeOn: .virtio, besides: taken).name) }
    #expect(taken.isSuperset(of: ["vda", "vdz", "vdaa", "vdaz", "vdba", "vdzz"]))
    #expect(DiskTarget(firstFreeOn: .virtio, besides: taken).name == "vdaaa")
  }

  @Test func askedForNamesAreReadStrictly() throws {
    #expect(try DiskTarget(asked: "/dev/vdb") == DiskTarget(name: "vdb", bus: .virtio))
    #expect(try DiskTarget(asked: "sdaa") == DiskTarget(name: "sdaa", bus: .scsi))
    for name in ["", "vd", "vd1", "vdB", "xvda", "hda", "vdabcd", "/dev/", "/dev/disk/vdb", "vdb ", "vdä"] {
      #expect(throws: StorageError.self, "\(name)") { try DiskTarget(asked: name) }
    }
  }

  @Test func thePlanIsWhatIsMissing() throws {
    let disk = Disk.make()
    let (running, kept) = (try domain(isLive: true), try domain(isLive: false))
    let (runningWith, keptWith) = (try domain(isLive: true, disk), try domain(isLive: false, disk))

    func parts(_ live: DomainXML?, _ stored: DomainXML?) throws -> [Bool] {
      let plan = try DomainState(live: live, stored: stored).plan(for: disk, in: instance)
      #expect(plan.device == "vdc")
      return [plan.live, plan.stored]
    }
    #expect(try parts(runningWith, keptWith) == [false, false])
    #expect(try parts(runningWith, kept) == [false, true])
    #expect(try parts(running, keptWith) == [true, false])
    #expect(try parts(runningWith, nil) == [false, false])
    #expect(try parts(nil, keptWith) == [false, false])

    let fresh = try DomainState(live: running, stored: kept).plan(for: disk, in: instance)
    #expect([fresh.live, fresh.stored] == [true, true])
    #expect(fresh.device == "vda")
    let transient = try DomainState(live: running, stored: nil).plan(for: disk, in: instance)
    #expect([transient.live, transient.stored] == [true, false])
    let shutOff = try DomainState(live: nil, stored: kept).plan(for: disk, in: instance)
    #expect([shutOff.live, shutOff.stored] == [false, true])
  }

  @Test func aNameTakenInEitherHalfIsTaken() throws {
    let kept = try domain(isLive: false, .make())
    let state = DomainState(live: try domain(isLive: true), stored: kept)
    let error = #expect(throws: StorageError.self) { try state.plan(for: .make(device: "vdc"), in: instance) }
    #expect(error?.code == .conflict)
  }

  @Test func anotherSerialUnderTheAliasIsTheWrongDevice() throws {
    let disk = Disk.make()
    let state = DomainState(live: try domain(isLive: true, disk), stored: nil)
    let error = #expect(throws: StorageError.self) {
      try state.plan(for: .make(attachment: disk.attachment), in: instance)
    }
    #expect(error?.code == .wrongDevice)
  }

  @Test func everyDifferenceIsNamed() throws {
    let disk = Disk.make()
    let xml = try DiskXML(disk, at: DiskTarget(name: "vda", bus: .virtio))
    #expect(try xml.difference(from: disk) == nil)
    let others = [
      Disk.make(volume: disk.volume),
      .make(attachment: disk.attachment),
      .make(attachment: disk.attachment, volume: disk.volume, source: .make(portal: "10.0.0.2:3260")),
      .make(attachment: disk.attachment, volume: disk.volume, source: .make(iqn: "iqn.2026-01.org.example:other")),
      .make(attachment: disk.attachment, volume: disk.volume, source: .make(user: "v")),
      .make(attachment: disk.attachment, volume: disk.volume, readOnly: true),
    ]
    for other in others { #expect(try xml.difference(from: other) != nil) }
  }

  /// The fixture with these disks in it, from `vdc` on.
  private func domain(isLive: Bool, _ disks: Disk...) throws -> DomainXML {
    var root = try XMLElement(parsing: domainFixture("domain-live.xml"), as: "The fixture")
    if !isLive { root.attributes.removeAll { $0.name == "id" } }
    let place = try #require(
      root.children.firstIndex { if case .element(let e) = $0 { e.name == "devices" } else { false } })
    guard case .element(var devices) = root.children[place] else { return try DomainXML("<none/>") }
    for (index, disk) in disks.enumerated() {
      let name = "vd" + String(UnicodeScalar(UInt8(ascii: "c") + UInt8(index)))
      devices.children.append(.element(try DiskXML(disk, at: DiskTarget(name: name, bus: .virtio)).element))
    }
    root.children[place] = .element(devices)
    return try DomainXML(root.serialized())
  }
}
