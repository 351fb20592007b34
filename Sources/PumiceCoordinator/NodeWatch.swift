import HashTreeCollections
public import Logging
import PumiceModel
public import PumiceWire
public import ServiceLifecycle

/// Keeps an eye on the nodes: polls those whose report is late, and compares the inventory of those whose digest differs.
public struct NodeWatch: Service {
  private let store: Store
  let directory: any NodeDirectory
  private let policy: Policy
  private let surroundings: Surroundings
  private let logger: Logger
  /// What was found last, so that each difference is said once and not with every look.
  private let found = LastFindings()

  public init(
    store: Store, directory: any NodeDirectory, policy: Policy, surroundings: Surroundings, logger: Logger
  ) {
    self.store = store
    self.directory = directory
    self.policy = policy
    self.surroundings = surroundings
    self.logger = logger
  }

  public func run() async throws {
    await cancelWhenGracefulShutdown {
      while !Task.isCancelled {
        await lookAround()
        try? await surroundings.sleep(policy.reportInterval / 2)
      }
    }
  }

  /// One look at every node, at most 32 at a time.
  func lookAround() async {
    let nodes = store.tables.nodes.values.filter { !$0.isLost }
    await withDiscardingTaskGroup { group in
      let (slots, free) = AsyncStream<Void>.makeStream()
      for _ in 0..<32 { free.yield() }
      var slot = slots.makeAsyncIterator()
      for node in nodes {
        guard await slot.next() != nil else { break }
        group.addTask {
          await look(at: node)
          free.yield()
        }
      }
    }
    await forgetTombstones()
  }

  private func look(at node: Node) async {
    let (policy, surroundings) = (policy, surroundings)
    let api = directory.node(node.name, at: node.address)
    do {
      let observed = store.tables.observations[node.name]?.receivedAt
      if observed.map({ surroundings.now() - $0 > policy.reportInterval * 1.5 }) ?? true {
        let report = try await api.report()
        guard report.name == node.name else {
          throw StorageError(.conflict, "The agent at \(node.address) is node \(report.name), not \(node.name).")
        }
        try await store.write { try $0.observe(report, policy: policy, at: surroundings.now()) }
      }
      try await compareInventory(of: node, through: api)
    } catch {
      logger.debug("A node did not answer", metadata: ["node": "\(node.name)", "error": "\(error)"])
    }
  }

  private func compareInventory(of node: Node, through api: any NodeAPI) async throws {
    let known = store.tables
    guard let observation = known.observations[node.name],
      observation.report.inventoryDigest != known.expectedDigest(of: node.name)
    else {
      found.replace([], of: node.name)
      return
    }
    let comparison = InventoryComparison(node: node.name, inventory: try await api.inventory(), known: known)
    let findings = comparison.findings()
    for finding in found.replace(findings, of: node.name) {
      logger.warning(
        "A node differs from the store",
        metadata: [
          "node": "\(node.name)", "finding": "\(finding.kind)", "resource": "\(finding.resource)",
          "detail": "\(finding.detail)",
        ])
    }
    guard !findings.isEmpty else { return }
    let surroundings = surroundings
    try await store.write { comparison.mend(&$0, at: surroundings.now()) }
  }

  /// Every difference between the store and the nodes that answer now; nodes that don't are differences too.
  public func diagnose() async -> [Finding] {
    var findings: [Finding] = []
    let known = store.tables
    for node in known.nodes.values.sorted(by: { $0.name < $1.name }) {
      do {
        let inventory = try await directory.node(node.name, at: node.address).inventory()
        findings += InventoryComparison(node: node.name, inventory: inventory, known: known).findings()
      } catch {
        findings.append(
          Finding(
            kind: .nodeDown, node: node.name, resource: node.name, detail: error.message,
            remedy: node.isLost
              ? "It was declared lost; 'pumice node enable \(node.name)' takes that back."
              : "Start its agent; if the machine is gone for good, 'pumice node lost \(node.name)'."))
      }
    }
    return findings
  }

  private func forgetTombstones() async {
    let (policy, surroundings) = (policy, surroundings)
    let now = surroundings.now()
    let tables = store.tables
    func isOld(_ moment: Timestamp?) -> Bool { moment.map { now - $0 > policy.tombstoneLifetime } ?? false }
    let volumes = tables.volumes.values.filter { $0.state == .deleted && isOld($0.updatedAt) }
    let snapshots = tables.snapshots.values.filter { $0.state == .deleted && isOld($0.updatedAt) }
    let attachments = tables.attachments.values.filter { !$0.holdsVolume && isOld($0.updatedAt) }
    let messages = tables.messages.values.filter { now - $0.createdAt > UserMessage.lifetime }
    guard !volumes.isEmpty || !snapshots.isEmpty || !attachments.isEmpty || !messages.isEmpty else { return }
    try? await store.write { tables in
      for volume in volumes where tables.volumes[volume.id]?.revision == volume.revision {
        tables.removeTombstone(volume)
      }
      for snapshot in snapshots where tables.snapshots[snapshot.id]?.revision == snapshot.revision {
        tables.removeTombstone(snapshot)
      }
      for attachment in attachments where tables.attachments[attachment.id]?.revision == attachment.revision {
        tables.removeTombstone(attachment)
      }
      for message in messages { tables.remove(message) }
    }
  }
}
