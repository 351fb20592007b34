import HashTreeCollections
import PumiceAgent
import PumiceModel
import PumiceWire

@testable import PumiceCoordinator

/// Hosts without an agent, which connect by themselves: what they ask for, and what they do with the answers.
extension OrderDesk {
  /// How the names of their initiators begin.
  static let clients = "iqn.2026-11.sim.client:"

  /// Sets the volume aside for a host, exports it, and says how to get in. The host logs in when it hears of that, if it does.
  func connect(_ volume: Volume) {
    let (world, fleet, runner, surroundings) = (fleet.world, fleet, runner, surroundings)
    let initiator = Self.clients + "h\(world.random(1...3))"
    let client = StorageClient(host: initiator, initiator: initiator)
    coordinator.process.start {
      let store = runner.store
      let order: @Sendable (inout Tables) throws -> Attachment = { tables in
        let attachment = try tables.reserve(volume.id, for: client, of: nil, at: world.now, in: surroundings)
        return try tables.change(attachment.id, of: nil) { attachment throws(StorageError) in
          try attachment.admit(client, at: world.now)
        }
      }
      guard let attachment = try? await store.write({ try order(&$0) }) else { return }
      guard let target = try? await runner.export(attachment) else {
        try? await store.write { try $0.release(attachment.id, at: world.now) }
        return
      }
      world.at(world.now + .milliseconds(world.random(0...4000))) {
        if world.chance(90) { Self.logIn(initiator, to: target, for: attachment.id, in: fleet) }
      }
    }
  }

  /// A host lets its volume go. Some die first, and the target has to throw them out.
  func letGo(_ attachment: Attachment) {
    guard let initiator = attachment.client?.initiator else { return }
    let world = fleet.world
    if world.chance(60) { fleet.fabric.logOut(attachment.id, initiator: initiator) }
    coordinator.process.start { [coordinator] in
      try? await coordinator.store.write { try $0.release(attachment.id, at: world.now) }
    }
  }

  private static func logIn(
    _ initiator: String, to target: ExportedTarget, for attachment: AttachmentID, in fleet: Fleet
  ) {
    let session = InMemoryFabric.Session(
      portal: target.portals[0], iqn: target.iqn, initiator: initiator, attachment: attachment)
    let isIn = (try? fleet.fabric.logIn(session, user: target.chapUser, secret: target.chapSecret)) != nil
    guard isIn, let coordinator = fleet.coordinator else { return }
    let now = fleet.world.now
    coordinator.process.start {
      _ = try? await coordinator.store.write { tables in
        try tables.change(attachment, of: nil) { attachment throws(StorageError) in try attachment.complete(at: now) }
      }
    }
  }
}

extension InMemoryFabric.Session {
  /// Whether it is one of a host without an agent.
  var isOfClient: Bool { initiator.hasPrefix(OrderDesk.clients) }
}
