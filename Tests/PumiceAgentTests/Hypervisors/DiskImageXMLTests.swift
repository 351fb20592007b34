import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

@Suite struct DiskImageXMLTests {
  private let chain = DiskImage([
    .nfs("volume.2", .qcow2), .nfs("volume.1", .qcow2), .nfs("volume", .raw),
  ])

  @Test func aDiskSaysItsWholeChain() throws {
    let disk = Disk.make(source: .image(chain))
    let built = try DiskXML(disk, at: DiskTarget(name: "vdc", bus: .virtio))
    // As libvirt will see it.
    let read = DiskXML(try XMLElement(parsing: built.element.serialized(), as: "The disk"))
    #expect(read.location == .image(chain))
    #expect(try read.difference(from: disk) == nil)
    let element = read.element
    #expect(element["type"] == "network")
    #expect(element.first("driver")?["type"] == "qcow2")
    #expect(element.first("driver")?["io"] == nil)
    let source = try #require(element.first("source"))
    #expect(source["protocol"] == "nfs" && source["name"] == "/export/volume.2")
    #expect(source.first("host")?["name"] == "10.0.0.1")
    #expect(source.first("identity")?["user"] == "+107" && source.first("identity")?["group"] == "+64055")
    let last = try #require(element.first("backingStore", "backingStore"))
    #expect(last["type"] == "network" && last.first("format")?["type"] == "raw")
    #expect(last.first("source")?["name"] == "/export/volume")
    #expect(last.first("backingStore") == XMLElement("backingStore"), "Nothing is left to be looked for.")
  }

  @Test(arguments: [false, true]) func aDiskSaysWhetherOthersMayWriteToIt(_ isShareable: Bool) throws {
    let disk = Disk.make(source: .image(DiskImage([.nfs("volume", .raw)])), isShareable: isShareable)
    let read = DiskXML(
      try XMLElement(
        parsing: DiskXML(disk, at: DiskTarget(name: "vdc", bus: .virtio)).element.serialized(), as: "The disk"))
    #expect((read.element.first("shareable") != nil) == isShareable)
    #expect(try read.difference(from: disk) == nil)
    let other = Disk.make(
      attachment: disk.attachment, volume: disk.volume, source: disk.source, isShareable: !isShareable)
    #expect(try read.difference(from: other)?.contains("shareable") == true)
  }

  @Test func aRawImageHasNothingBehindItAndSaysSo() throws {
    for layer in [DiskImage.Layer.nfs("volume", .raw), DiskImage.Layer(.file(path: "/mnt/volume"), .raw)] {
      let element = try DiskXML(
        .make(source: .image(DiskImage([layer]))), at: DiskTarget(name: "vda", bus: .virtio)
      ).element
      #expect(element.first("driver")?["type"] == "raw")
      #expect(element.first("backingStore") == XMLElement("backingStore"))
    }
  }

  @Test func whatLibvirtWroteIsRead() throws {
    let element = try XMLElement(
      parsing: """
        <disk type='network' device='disk'>
          <driver name='qemu' type='qcow2' cache='none'/>
          <source protocol='nfs' name='/export/volume.1' index='5'>
            <host name='10.0.0.1'/>
            <identity user='+107' group='+64055'/>
          </source>
          <backingStore type='network' index='3'>
            <format type='raw'/>
            <source protocol='nfs' name='/export/volume'>
              <host name='10.0.0.1'/>
              <identity user='+107' group='+64055'/>
            </source>
            <backingStore/>
          </backingStore>
          <target dev='vda' bus='virtio'/>
        </disk>
        """, as: "The disk")
    #expect(DiskImage(of: element) == DiskImage([.nfs("volume.1", .qcow2), .nfs("volume", .raw)]))
  }

  @Test(arguments: [
    "<driver type='qcow2'/><source file='/a'/>",
    "<driver type='qcow2'/><source file='/a'/><backingStore type='file'><format type='qcow2'/><source file='/b'/></backingStore>",
    "<driver type='vmdk'/><source file='/a'/><backingStore/>",
    "<driver type='qcow2'/><source file='/a'/><backingStore type='block'><format type='raw'/><source dev='/b'/></backingStore>",
    "<source file='/a'/><backingStore/>",
    "<driver type='raw'/><backingStore/>",
  ])
  func whatLeavesSomethingOpenIsNoImageOfOurs(parts: String) throws {
    let element = try XMLElement(parsing: "<disk type='file'>\(parts)</disk>", as: "The disk")
    #expect(DiskImage(of: element) == nil)
    #expect(DiskLocation(of: element) == .other("file"))
  }

  @Test(arguments: [
    DiskImage([]),
    DiskImage([.nfs("a", .raw), .nfs("b", .raw)]),
    DiskImage([.nfs("a", .qcow2), .nfs("b", .raw), .nfs("c", .raw)]),
    DiskImage([.nfs("a", .qcow2), .nfs("a", .raw)]),
    DiskImage([.init(.file(path: "a"), .raw)]),
    DiskImage([.init(.nfs(host: "", path: "/export/a", user: 0, group: 0), .raw)]),
    DiskImage([.init(.nfs(host: "h", path: "a", user: 0, group: 0), .raw)]),
    DiskImage([.init(.nfs(host: "h", path: "/a", user: 0, group: 0), .raw)]),
    DiskImage([.init(.nfs(host: "h", path: "/export/", user: 0, group: 0), .raw)]),
  ])
  func whatCantBeAnImageIsRefused(image: DiskImage) {
    let error = #expect(throws: StorageError.self) { try DiskLocation(.image(image)) }
    #expect(error?.code == .invalid)
  }

  @Test func everyDifferenceOfAnImageIsOne() throws {
    let disk = Disk.make(source: .image(chain))
    let xml = try DiskXML(disk, at: DiskTarget(name: "vda", bus: .virtio))
    var others = [
      DiskImage(Array(chain.layers.dropFirst())), DiskImage([chain.layers[0], chain.layers[2]]),
      DiskImage([chain.layers[0], chain.layers[1], .nfs("volume", .qcow2)]),
    ]
    others.append(DiskImage([chain.layers[0], chain.layers[1], .nfs("volume", .raw, user: 0)]))
    for other in others {
      var copy = disk
      copy.source = .image(other)
      #expect(try xml.difference(from: copy) != nil)
    }
  }

  @Test func theMissingHalfGetsTheImageOfTheOther() throws {
    let older = Disk.make(source: .image(DiskImage([.nfs("volume", .raw)])))
    var newer = older
    newer.source = .image(chain)
    let bare = try DomainXML(domainFixture("domain-live.xml"))
    let live = try DomainXML(bare.root.having(DiskXML(newer, at: DiskTarget(name: "vdc", bus: .virtio))).serialized())
    let stored = try DomainXML(bare.root.without("id").serialized())
    let plan = try DomainState(live: live, stored: stored).plan(for: older, in: .random())
    #expect(!plan.live && plan.stored)
    #expect(plan.element.location == .image(chain))
    #expect(plan.disk == newer)
  }
}

extension DiskImage.Layer {
  static func nfs(_ name: String, _ format: SharedImage.Format, user: UInt32 = 107) -> DiskImage.Layer {
    DiskImage.Layer(.nfs(host: "10.0.0.1", path: "/export/\(name)", user: user, group: 64055), format)
  }
}

extension XMLElement {
  /// A domain with another disk.
  func having(_ disk: DiskXML) -> XMLElement {
    var copy = self
    copy.children = children.map { child in
      guard case .element(var devices) = child, devices.name == "devices" else { return child }
      devices.children.append(.element(disk.element))
      return .element(devices)
    }
    return copy
  }

  func without(_ attribute: String) -> XMLElement {
    var copy = self
    copy.attributes.removeAll { $0.name == attribute }
    return copy
  }
}
