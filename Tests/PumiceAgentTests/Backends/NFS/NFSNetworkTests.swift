import Foundation
import PumiceModel
import PumiceWire
import TestBed
import Testing

/// The product's agent in a network of its own, where a firewall stands between it and the server of one of its backends.
@Suite(.timeLimit(.minutes(3))) struct NFSNetworkTests {
  private static let token = "0123456789abcdef0123456789abcdef"

  @Test func aServerBehindAFirewallHoldsUpNothingElse() async throws {
    try await Bed.with { bed in
      let namespace = try await NetworkNamespace.open(in: bed)
      let path = try bed.folder.folder("export")
      #expect(chmod(path, 0o700) == 0)
      let server = try GaneshaDaemon(in: bed, exports: [.init(path: path)], on: namespace.network)
      try await server.start()
      let share = "\(server.address):\(path)"
      let agent = try await Agent.start(share, namespace, bed)
      let (node, volume, snapshot) = (agent.node, VolumeID.random(), SnapshotID.random())
      _ = try await node.ensureVolume(volume, request("filer", share))
      _ = try await node.ensureSnapshot(
        snapshot,
        SnapshotRequest(
          revision: 1, volume: volume, backend: "filer", pool: share,
          description: VolumeDescription(name: "before", project: "red", type: "fast", metadata: [:])))
      let inventory = try await node.inventory()
      #expect(try await node.report().inventoryDigest == inventory.digest)
      #expect(inventory.volumes.map(\.id) == [volume] && inventory.snapshots.map(\.id) == [snapshot])

      try await namespace.cutOff(server.address)
      let threads = try agent.threads
      var others: [VolumeID] = []
      for round in 0..<3 {
        others.append(.random())
        let begin = ContinuousClock.now
        async let failure = error { _ = try await node.ensureVolume(others[round], request("filer", share)) }
        async let removal = error {
          _ = try await node.removeSnapshot(
            snapshot, SnapshotRemoval(revision: 2, volume: volume, backend: "filer", pool: share))
        }
        let report = try await node.report()
        #expect(ContinuousClock.now - begin < .seconds(20))
        let filer = report.pools.filter { $0.backend == "filer" }
        #expect(filer.count == 1 && filer[0].downReason?.contains(share) == true, "\(filer)")
        #expect(report.inventoryDigest == inventory.digest, "what can't be read stands as it was")
        let memory = try #require(report.pools.first { $0.backend == "mem" })
        #expect(memory.downReason == nil)
        let middle = ContinuousClock.now
        _ = try await node.ensureVolume(.random(), request("mem", memory.pool))
        #expect(ContinuousClock.now - middle < .seconds(5))
        for error in [await failure, await removal] {
          #expect([.unavailable, .timeout].contains(error?.code), "\(error as Any)")
          #expect(error?.message.contains(server.address) == true, "\(error as Any)")
        }
        #expect(ContinuousClock.now - begin < .seconds(30))
      }
      #expect(try agent.threads <= threads + 4, "none is left behind by each call")

      try await namespace.reconnect()
      try await eventually("it is back by itself") {
        let pools = try await node.report().pools
        return pools.allSatisfy { $0.downReason == nil }
      }
      _ = try await node.removeSnapshot(
        snapshot, SnapshotRemoval(revision: 2, volume: volume, backend: "filer", pool: share))
      for id in others { _ = try await node.ensureVolume(id, request("filer", share)) }
      #expect(Set(try await node.inventory().volumes.map(\.id)).isSuperset(of: others + [volume]))
      for id in others + [volume] {
        _ = try await node.removeVolume(id, VolumeRemoval(revision: 3, backend: "filer", pool: share))
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: path) == [".pumice-owner"])
    }
  }

  // MARK: Parts

  private func error(_ body: () async throws -> Void) async -> StorageError? {
    do { try await body() } catch { return error as? StorageError }
    return nil
  }

  private func request(_ backend: String, _ pool: String) -> VolumeRequest {
    VolumeRequest(
      revision: 1, backend: backend, pool: pool, size: .mebibytes(1),
      description: VolumeDescription(name: "db", project: "red", type: "fast"))
  }

  private struct Agent {
    let node: NodeClient
    private let daemon: Daemon
    private let process: pid_t

    /// One with a backend in memory beside that of the share.
    static func start(_ share: String, _ namespace: NetworkNamespace, _ bed: Bed) async throws -> Agent {
      let address = try namespace.network.freeAddress()
      let configuration = try bed.folder.write(
        """
        name: n1
        listen: \(address)
        token_file: \(try bed.folder.write(token, to: "token"))
        state_directory: \(try bed.folder.folder("state"))
        backends:
          - {name: filer, kind: nfs, access: libnfs, timeout: 4, shares: ["\(share)"]}
          - {name: mem, kind: memory}
        exporter: {kind: memory}
        hypervisor: {kind: memory}

        """, to: "agent.yaml")
      let daemon = Daemon(
        "agent", namespace.network.entering([try Binaries.path("pumice-agent"), "--config", configuration]), in: bed
      ) { namespace.network.answers(address) }
      try await daemon.start()
      let node = NodeClient(
        "n1", at: "http://\(try await namespace.door(to: address))", token: token, transport: HTTPTransport())
      try await eventually("both pools are up") {
        let pools = try await node.report().pools
        return pools.count == 2 && pools.allSatisfy { $0.downReason == nil }
      }
      return Agent(node: node, daemon: daemon, process: try #require(await daemon.processID))
    }

    var threads: Int {
      get throws { try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task").count }
    }
  }
}
