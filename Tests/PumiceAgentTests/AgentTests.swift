import Foundation
import Glibc
import Hummingbird
import Logging
import PumiceModel
import PumiceWire
import ServiceLifecycle
import Testing

@testable import PumiceAgent

/// A whole agent, from its configuration to the socket, with drivers in memory.
@Suite struct AgentTests {
  private static let token = "token-0123456789abcdef"

  /// A folder with a token file, and the configuration of an agent in it.
  private func withConfiguration(
    _ more: String = "", _ body: (AgentConfiguration, String) async throws -> Void
  ) async throws {
    let folder = FileManager.default.temporaryDirectory.path + "/pumice-agent-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    #expect(
      FileManager.default.createFile(
        atPath: "\(folder)/token", contents: Data(Self.token.utf8), attributes: [.posixPermissions: 0o600]))
    let configuration = try AgentConfiguration.read(
      yaml: """
        name: n1
        listen: 127.0.0.1:\(try freePort())
        join_token_file: \(folder)/token
        state_directory: \(folder)/state
        backends: [{name: mem, kind: memory}]
        hypervisor: {kind: memory}
        \(more)
        """)
    try await body(configuration, folder)
  }

  /// A port that nobody has at the moment.
  private func freePort() throws -> Int {
    let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(socket) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(socket, $0, length) + getsockname(socket, $0, &length)
      }
    }
    #expect(result == 0)
    return Int(UInt16(bigEndian: address.sin_port))
  }

  private func running(_ agent: Agent, _ body: (any NodeAPI) async throws -> Void) async throws {
    let group = ServiceGroup(services: [agent], logger: .silent)
    let transport = HTTPTransport()
    try await withThrowingTaskGroup { tasks in
      tasks.addTask { try await group.run() }
      let node = NodeClient("n1", at: agent.node.identity.address, token: Self.token, transport: transport)
      try await eventually { (try? await node.report()) != nil }
      try await body(node)
      await transport.shutdown()
      await group.triggerGracefulShutdown()
      try await tasks.waitForAll()
    }
  }

  @Test func anAgentServesAttachesAndStops() async throws {
    try await withConfiguration { configuration, _ in
      let agent = try await Agent(configuration, logger: .silent)
      try await running(agent) { node in
        let (volume, attachment) = (VolumeID.random(), AttachmentID.random())
        let report = try await node.report()
        let instance = try #require(report.instances.first)
        let connector = try #require(report.connectors.first)
        _ = try await node.ensureVolume(
          volume,
          VolumeRequest(
            revision: 1, backend: "mem", pool: "mem", size: .gibibytes(1),
            description: VolumeDescription(name: "db", project: "red", type: "fast")))
        let target = try await node.ensureExport(
          attachment,
          ExportRequest(
            revision: 1, volume: volume, backend: "mem", pool: "mem",
            initiator: connector.initiatorName(for: attachment)))
        let disk = try await node.ensureConnection(
          attachment,
          ConnectionRequest(revision: 1, volume: volume, instance: instance.id, size: .gibibytes(1), target: target))
        #expect(disk.device == "vda")
      }
    }
  }

  @Test func whatItLogsIsShownAndSetWhileItRuns() async throws {
    try await withConfiguration { configuration, _ in
      let level = LogLevel(.info)
      let agent = try await Agent(configuration, logger: .silent, logLevel: level)
      try await running(agent) { node in
        let node = try #require(node as? any LoggingNodeAPI)
        #expect(try await node.logSetting() == LogSetting(level: .info, logger: "pumice-agent"))
        try await node.setLog(LogSetting(level: .debug))
        #expect(level.value == .debug)
        #expect(try await node.logSetting().level == .debug)
      }
    }
  }

  @Test func aBackendThatIsGoneKeepsNobodyFromTheOthers() async throws {
    try await withConfiguration { configuration, _ in
      var configuration = configuration
      configuration.backends.append(.lvm(LVMBackendConfiguration(name: "gone", volumeGroup: "no-such-group")))
      let agent = try await Agent(configuration, logger: .silent)
      try await running(agent) { node in
        let pools = try await node.report().pools
        #expect(pools.map(\.backend) == ["mem", "gone"])
        #expect(pools[0].downReason == nil && pools[1].downReason != nil)
        let request = VolumeRequest(
          revision: 1, backend: "mem", pool: "mem", size: .gibibytes(1),
          description: VolumeDescription(name: "db", project: "red", type: "fast"))
        #expect(try await node.ensureVolume(.random(), request).isComplete)
        // What can't be seen does not look as if it were not there.
        await #expect(throws: StorageError.self) { try await node.inventory() }
      }
    }
  }

  @Test func secretsAreNeverLogged() async throws {
    try await withConfiguration("log_level: trace") { configuration, _ in
      let lines = RecordingLogHandler.Lines()
      let agent = try await Agent(configuration, logger: RecordingLogHandler.logger(lines))
      var secrets = [Self.token]
      try await running(agent) { node in
        let (volume, attachment) = (VolumeID.random(), AttachmentID.random())
        let instance = try #require(try await node.report().instances.first)
        _ = try await node.ensureVolume(
          volume,
          VolumeRequest(
            revision: 1, backend: "mem", pool: "mem", size: .gibibytes(1),
            description: VolumeDescription(name: "db", project: "red", type: "fast")))
        let target = try await node.ensureExport(
          attachment,
          ExportRequest(revision: 1, volume: volume, backend: "mem", pool: "mem", initiator: "iqn.x:y"))
        secrets.append(target.chapSecret)
        var wrong = target
        wrong.chapSecret = "wrong-secret-xyz"
        secrets.append(wrong.chapSecret)
        for target in [wrong, target] {
          _ = try? await node.ensureConnection(
            attachment,
            ConnectionRequest(revision: 1, volume: volume, instance: instance.id, size: .gibibytes(1), target: target))
        }
        let transport = HTTPTransport()
        let stranger = NodeClient(
          "n1", at: configuration.address, token: "stranger-0123456789", transport: transport)
        _ = try? await stranger.report()
        await transport.shutdown()
        secrets.append("stranger-0123456789")
      }
      #expect(lines.all.count > 5)
      for secret in secrets { #expect(!lines.all.contains { $0.contains(secret) }) }
    }
  }

  @Test func aSecondAgentOnTheSameStateIsRefused() async throws {
    try await withConfiguration { configuration, _ in
      let first = try await Agent(configuration, logger: .silent)
      let error = await #expect(throws: StorageError.self) { _ = try await Agent(configuration, logger: .silent) }
      #expect(error?.code == .inUse)
      #expect(first.node.identity.name == "n1")
    }
  }

  @Test func theInitiatorNameSurvivesAChangeOfTheNodesName() async throws {
    try await withConfiguration { configuration, _ in
      func initiator(_ name: String) async throws -> String? {
        var configuration = configuration
        configuration.name = name
        return try await Agent(configuration, logger: .silent).node.report().connectors.first?.initiator
      }
      let first = try await initiator("n1")
      let second = try await initiator("renamed")
      #expect(first == "iqn.2026-11.io.pumice:node-n1")
      #expect(second == first)
    }
  }

  @Test func reportsReachTheCoordinatorWithTheJoinToken() async throws {
    let received = Shared<[(name: String, token: String?)]>([])
    let router = Router()
    router.post("/nodes/v1/reports") { request, _ -> HTTPResponse.Status in
      let body = try await request.body.collect(upTo: 1 << 20)
      let report = try WireJSON.decode(NodeReport.self, from: body.readableBytesView)
      received.withLock { $0.append((report.name, request.headers[.authorization])) }
      return .noContent
    }
    let port = try freePort()
    let coordinator = Application(
      router: router, configuration: ApplicationConfiguration(address: .hostname("127.0.0.1", port: port)),
      logger: .silent)
    try await withConfiguration("coordinator: http://127.0.0.1:\(port)\nreport_interval: 0.1") { configuration, _ in
      let agent = try await Agent(configuration, logger: .silent)
      let group = ServiceGroup(services: [coordinator], logger: .silent)
      try await withThrowingTaskGroup { tasks in
        tasks.addTask { try await group.run() }
        try await running(agent) { _ in try await eventually { received.withLock { $0.count } >= 2 } }
        await group.triggerGracefulShutdown()
        try await tasks.waitForAll()
      }
    }
    #expect(received.withLock { $0.map(\.name) }.allSatisfy { $0 == "n1" })
    #expect(received.withLock { $0.map(\.token) }.allSatisfy { $0 == "Bearer \(Self.token)" })
  }

  @Test func theCheckNamesWhatIsMissing() async throws {
    try await withConfiguration("exporter: {kind: tgt, ipc_socket: /nonexistent/socket.0, start: false}") {
      configuration, folder in
      try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: "\(folder)/token")
      var configuration = configuration
      configuration.hypervisor = .init(kind: .libvirt, uri: "qemu+unix:///system?socket=/nonexistent/libvirt-sock")
      configuration.backends.append(.directory(DirectoryBackendConfiguration(name: "big", path: "/nonexistent")))
      let missing = await AgentCheck(configuration).lines().filter { !$0.isOK && $0.isRequired }
      #expect(missing.map(\.part).contains("token_file"))
      #expect(missing.map(\.part).contains("backend big"))
      #expect(missing.map(\.part).contains("tgtd socket"))
      #expect(missing.map(\.part).contains("libvirt"))
      #expect(missing.allSatisfy { !$0.detail.isEmpty })
    }
  }

  @Test func theCheckLooksAtTheKernelsTarget() async throws {
    try await withConfiguration("exporter: {kind: lio, portals: [\"127.0.0.1:3260\", \"192.0.2.1:3260\"]}") {
      configuration, _ in
      let lines = await AgentCheck(configuration).lines()
      #expect(Set(["LIO permission", "LIO modules", "configfs"]).isSubset(of: lines.map(\.part)))
      let portals = lines.first { $0.part == "portals" }
      #expect(portals?.isOK == false && portals?.isRequired == false)
      #expect(portals?.detail.contains("192.0.2.1:3260") == true && portals?.detail.contains("127.0.0.1") == false)
    }
  }

  @Test func theCheckOfAnAgentInMemoryIsContent() async throws {
    try await withConfiguration { configuration, _ in
      #expect(await AgentCheck(configuration).lines().filter { !$0.isOK && $0.isRequired } == [])
    }
  }
}
