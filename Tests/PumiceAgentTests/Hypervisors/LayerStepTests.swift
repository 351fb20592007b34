import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

@Suite struct LayerStepTests {
  private let attachment = AttachmentID.random()
  private let volume = VolumeID.random()
  private let base = DiskImage.Layer.nfs("v", .raw)
  private let one = DiskImage.Layer.nfs("v.1", .qcow2)
  private let two = DiskImage.Layer.nfs("v.2", .qcow2)
  private let three = DiskImage.Layer.nfs("v.3", .qcow2)

  private func step(_ old: [DiskImage.Layer], _ new: [DiskImage.Layer]) -> LayerStep? {
    LayerStep(from: DiskImage(old), to: DiskImage(new))
  }

  @Test func whatIsThereTakesNoStep() {
    #expect(step([base], [base]) == LayerStep.none)
    #expect(step([two, one, base], [two, one, base]) == LayerStep.none)
  }

  @Test func aLayerInFrontIsPushed() {
    #expect(step([base], [one, base]) == .push(one))
    #expect(step([one, base], [two, one, base]) == .push(two))
  }

  @Test func aLayerBehindTheFirstGoesDownIntoTheNext() {
    #expect(step([two, one, base], [two, base]) == .merge(1))
    #expect(step([three, two, one, base], [three, one, base]) == .merge(1))
    #expect(step([three, two, one, base], [three, two, base]) == .merge(2))
  }

  @Test func everythingElseIsNoStep() {
    #expect(step([one, base], [base]) == nil, "The guest writes to the first.")
    #expect(step([two, one, base], [one, base]) == nil)
    #expect(step([one, base], [one]) == nil, "The last stands alone, and has nothing to go down into.")
    #expect(step([two, one, base], [two, one]) == nil)
    #expect(step([base], [two, one, base]) == nil, "Two at once.")
    #expect(step([three, two, one, base], [three, base]) == nil)
    #expect(step([base], [.nfs("w", .raw), base]) == nil, "Only qcow2 leaves anything to the next.")
    #expect(step([two, one, base], [one, two, base]) == nil)
    #expect(step([one, base], [two, base]) == nil)
    #expect(step([one, base], [one, .nfs("v", .qcow2)]) == nil)
    #expect(step([one, base], [one, .nfs("v", .raw, user: 0)]) == nil)
  }

  // MARK: With live and stored configuration

  private func domain(isLive: Bool, _ layers: [DiskImage.Layer]?) throws -> DomainXML {
    var root = try XMLElement(parsing: domainFixture("domain-live.xml"), as: "The fixture")
    if !isLive { root = root.without("id") }
    if let layers {
      let disk = Disk.make(attachment: attachment, volume: volume, source: .image(DiskImage(layers)))
      root = root.having(try DiskXML(disk, at: DiskTarget(name: "vdc", bus: .virtio)))
    }
    return try DomainXML(root.serialized())
  }

  private func plan(
    live: [DiskImage.Layer]?, stored: [DiskImage.Layer]?, _ wanted: DiskImage.Layer...
  ) throws -> LayerPlan {
    try DomainState(live: domain(isLive: true, live), stored: domain(isLive: false, stored))
      .plan(for: DiskImage(wanted), of: attachment, isMerged: false, "The attempt")
  }

  @Test func aRunningInstanceMakesTheStepItself() throws {
    #expect(try plan(live: [base], stored: [base], one, base) == .live(.push(one)))
    #expect(try plan(live: [two, one, base], stored: [two, one, base], two, base) == .live(.merge(1)))
    #expect(try plan(live: [one, base], stored: [one, base], one, base) == .nothing)
  }

  @Test func whatOnlyTheStoredHalfLacksIsWritten() throws {
    #expect(try plan(live: [one, base], stored: [base], one, base) == .store)
    #expect(try plan(live: [two, base], stored: [two, one, base], two, base) == .store)
    #expect(try plan(live: [one, base], stored: [three, base], one, base) == .store, "The running one is right.")
    #expect(try plan(live: [base], stored: [one, base], one, base) == .live(.push(one)))
    // Half unplugged: what is gone stays so.
    #expect(try plan(live: [one, base], stored: nil, one, base) == .nothing)
  }

  @Test func anInstanceThatRunsWithoutTheDiskIsNotFound() throws {
    let error = #expect(throws: StorageError.self) { try plan(live: nil, stored: [base], one, base) }
    #expect(error?.code == .notFound)
  }

  @Test func aTransientInstanceHasNothingToStore() throws {
    let state = DomainState(live: try domain(isLive: true, [one, base]), stored: nil)
    #expect(try state.plan(for: DiskImage([one, base]), of: attachment, isMerged: false, "The attempt") == .nothing)
    #expect(
      try state.plan(for: DiskImage([two, one, base]), of: attachment, isMerged: false, "The attempt")
        == .live(.push(two)))
  }

  @Test func aShutOffInstanceTakesALayerInFrontAndNothingElse() throws {
    func plan(_ stored: [DiskImage.Layer]?, _ wanted: DiskImage.Layer...) throws -> LayerPlan {
      try DomainState(live: nil, stored: domain(isLive: false, stored))
        .plan(for: DiskImage(wanted), of: attachment, isMerged: false, "The attempt")
    }
    #expect(try plan([base], one, base) == .store)
    #expect(try plan([one, base], one, base) == .nothing)
    let codes: [StorageError.Code?] = [
      #expect(throws: StorageError.self) { try plan([two, one, base], two, base) }?.code,
      #expect(throws: StorageError.self) { try plan([base], two, one, base) }?.code,
      #expect(throws: StorageError.self) { try plan(nil, one, base) }?.code,
    ]
    #expect(codes == [.unsupported, .conflict, .notFound])
  }

  @Test func aShutOffInstanceIsToldOfALayerThatHasGoneDown() throws {
    let state = DomainState(live: nil, stored: try domain(isLive: false, [two, one, base]))
    #expect(
      try state.plan(for: DiskImage([two, base]), of: attachment, isMerged: true, "The attempt") == .store)
    let running = DomainState(live: try domain(isLive: true, [two, one, base]), stored: state.stored)
    #expect(
      try running.plan(for: DiskImage([two, base]), of: attachment, isMerged: true, "The attempt") == .live(.merge(1)))
  }

  // MARK: In XML

  @Test func aDiskGetsAnotherImageAndStaysTheSameDisk() throws {
    let text = """
      <disk type='file' device='disk'>
        <driver name='qemu' type='raw' cache='none'/>
        <source file='/v'/>
        <backingStore/>
        <target dev='vdc' bus='virtio'/>
        <serial>s</serial>
        <alias name='ua-1'/>
        <address type='pci' slot='0x01'/>
      </disk>
      """
    let disk = DiskXML(try XMLElement(parsing: text, as: "The disk"))
    let changed = disk.having(DiskImage([one, base]))
    #expect(changed.location == .image(DiskImage([one, base])))
    #expect(changed.element.elements("backingStore").count == 1)
    #expect(changed.element.first("driver")?["cache"] == "none")
    for part in ["target", "serial", "alias", "address"] {
      #expect(changed.element.first(part) == disk.element.first(part))
    }
    #expect(changed.having(DiskImage([.init(.file(path: "/v"), .raw)])).location == disk.location)
  }

  @Test func numbersAreReadInTheirOrder() throws {
    let text = """
      <disk type='file'><source file='/c' index='7'/>
        <backingStore type='file' index='2'><format type='qcow2'/><source file='/b'/>
          <backingStore type='file' index='5'><format type='raw'/><source file='/a'/><backingStore/></backingStore>
        </backingStore>
      </disk>
      """
    #expect(DiskXML(try XMLElement(parsing: text, as: "The disk")).layerNumbers == [7, 2, 5])
    let unnumbered = text.replacing(" index='2'", with: "")
    #expect(DiskXML(try XMLElement(parsing: unnumbered, as: "The disk")).layerNumbers == nil)
  }

  @Test func aSnapshotNamesEveryDisk() throws {
    let other = Disk.make(source: .file(path: "/x"))
    let root = try XMLElement(parsing: domainFixture("domain-live.xml"), as: "The fixture")
      .having(DiskXML(other, at: DiskTarget(name: "vdb", bus: .virtio)))
      .having(DiskXML(.make(), at: DiskTarget(name: "vdc", bus: .virtio)))
    let domain = try DomainXML(root.serialized())
    let disks = try #require(SnapshotXML.element(putting: one, before: "vdc", of: domain).first("disks")).elements
    #expect(disks.map { $0["name"] } == ["vdc", "vdb"])
    #expect(disks.map { $0["snapshot"] } == ["external", "no"])
    #expect(disks[0]["type"] == "network")
    #expect(disks[0].first("driver")?["type"] == "qcow2")
    #expect(disks[0].first("source")?["name"] == "/export/v.1")
  }
}
