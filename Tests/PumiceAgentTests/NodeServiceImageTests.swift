import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

/// What a node does with disks that are files of shares, when their files change and when instances are shut off.
@Suite struct NodeServiceImageTests {
  private let instance = InstanceID.random()
  private let world: InMemoryHypervisorWorld
  private let shelf = InMemoryRecordShelf<ConnectionRecord>()
  private let asked = Shared<[[String]]>([])
  /// What is the first file of no volume any more.
  private let gone = Shared("")
  private let attachment = AttachmentID.random()
  private let volume = VolumeID.random()

  init() { world = InMemoryHypervisorWorld(instances: [Instance(id: instance, name: "vm", status: .active)]) }

  @Test(arguments: [false, true]) func aDiskIsRestoredByTheFilesThatItHasComeTo(isShutOff: Bool) async throws {
    let node = start()
    _ = try await node.ensureConnection(attachment, request("base"))
    if isShutOff { world.shutOff(instance) }
    _ = try await node.ensureConnection(attachment, request("base", next: ["new", "base"]))
    #expect(shown == ["new", "base"])
    let image = InMemoryRecordStore(on: shelf).all.first?.request.target.image
    #expect(image?.layers.map(\.name) == ["new", "base"])
    #expect(image?.next == nil)

    // The next life of the agent asks for nothing that may be gone by then.
    asked.withLock { $0 = [] }
    let outcome = await start().restore()
    #expect(outcome.isComplete && outcome.restored == 1)
    #expect(asked.withLock { $0 } == [["new", "base"]])
    #expect(shown == ["new", "base"])
    world.start(instance)
    #expect(shown == ["new", "base"])
  }

  @Test func aMergeThatUsersCannotMakeLeavesTheRecordAsItWas() async throws {
    let node = start()
    _ = try await node.ensureConnection(attachment, request("top", "middle", "base"))
    world.shutOff(instance)
    let error = await #expect(throws: StorageError.self) {
      _ = try await node.ensureConnection(attachment, request("top", "middle", "base", next: ["top", "base"]))
    }
    #expect(error?.code == .unsupported)
    #expect(shown == ["top", "middle", "base"])
    let image = InMemoryRecordStore(on: shelf).all.first?.request.target.image
    #expect(image?.layers.map(\.name) == ["top", "middle", "base"])
  }

  @Test func aLateCallWithFilesOfBeforeLeavesTheRecordAsItIs() async throws {
    let node = start()
    _ = try await node.ensureConnection(attachment, request("base"))
    _ = try await node.ensureConnection(attachment, request("base", next: ["new", "base"]))
    gone.withLock { $0 = "base" }
    let error = await #expect(throws: StorageError.self) {
      _ = try await node.ensureConnection(attachment, request("base", next: ["new", "base"]))
    }
    #expect(error?.code == .wrongDevice)
    let image = InMemoryRecordStore(on: shelf).all.first?.request.target.image
    #expect(image?.layers.map(\.name) == ["new", "base"])
  }

  @Test func aVolumeThatHasGrownMeanwhileShowsItsSizeOnceTheInstanceRuns() async throws {
    let node = start()
    _ = try await node.ensureConnection(attachment, request("base"))
    world.shutOff(instance)
    _ = try await node.ensureConnection(attachment, request("base", size: .gibibytes(3)))
    #expect(world.slot(attachment, in: instance)?.size == nil)

    try await watching(node) { _ in
      world.start(instance)
      try await eventually {
        // The watch may not listen yet: an event that nobody hears is sent again.
        world.send(.lifecycle(instance))
        return world.slot(attachment, in: instance)?.size == .gibibytes(3)
      }
    }
  }

  @Test func instancesWithoutSuchDisksNeedNoRestoration() async throws {
    let node = start()
    #expect(!node.hasImages(instance))
    _ = try await node.ensureConnection(attachment, request("base"))
    #expect(node.hasImages(instance))
    #expect(!node.hasImages(.random()))
  }

  // MARK: Parts

  /// A freshly started agent.
  private func start() -> NodeService {
    NodeService(
      NodeIdentity(name: "n1", address: ""),
      drivers: NodeDrivers(
        hypervisor: InMemoryHypervisor(world: world), imageConnector: ImageConnector(asked: asked, gone: gone)),
      exports: InMemoryRecordStore(), connections: InMemoryRecordStore(on: shelf), logger: .silent)
  }

  private var shown: [String]? {
    guard case .image(let image)? = world.slot(attachment, in: instance)?.disk.source else { return nil }
    return image.layers.map(\.fileName)
  }

  private func request(
    _ names: String..., next: [String]? = nil, size: ByteCount = .gibibytes(1)
  ) -> ConnectionRequest {
    func layers(_ names: [String]) -> [SharedImage.Layer] {
      names.map { SharedImage.Layer(name: $0, format: $0 == "base" ? .raw : .qcow2) }
    }
    var target = ExportedTarget(
      protocolName: "nfs", portals: ["nfs"], iqn: "nfs", lun: 0, initiator: "nfs:n1", chapUser: "user",
      chapSecret: "secret-secret")
    var image = SharedImage(share: "filer:/export", layers: layers(names), user: 0, group: 0)
    image.next = next.map(layers)
    target.image = image
    return ConnectionRequest(revision: 1, volume: volume, instance: instance, size: size, target: target)
  }
}

/// Says which files it was asked for.
private struct ImageConnector: Connector {
  let asked: Shared<[[String]]>
  let gone: Shared<String>

  var description: ConnectorDescription {
    ConnectorDescription(kind: "images", protocolName: "nfs", initiator: "nfs:n1", namesInitiatorPerAttachment: false)
  }

  func connect(_ attachment: AttachmentID, _ request: ConnectionRequest) async throws(StorageError) -> DiskSource {
    let layers = request.target.image?.layers ?? []
    asked.withLock { $0.append(layers.map(\.name)) }
    guard gone.withLock({ $0 }) != layers.first?.name else {
      throw StorageError(.wrongDevice, "The volume has other files; ask again.")
    }
    return .image(DiskImage(layers.map { DiskImage.Layer(.file(path: "/share/\($0.name)"), $0.format) }))
  }

  func disconnect(_ attachment: AttachmentID) async throws(StorageError) {}
}
