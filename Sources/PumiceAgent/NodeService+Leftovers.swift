import Logging
public import PumiceModel

/// What connections leave on a node in spite of all: after a crash at the wrong moment, or when records were lost.
extension NodeService {
  func leftovers() async throws(StorageError) -> [Inventory.Leftover]? {
    let connectors = drivers.connectors.compactMap { $0 as? any DeviceConnector }
    guard !connectors.isEmpty else { return nil }
    // What an instance has, or is to have when it starts, is its own whatever became of the record.
    let plugged = Set(try await drivers.hypervisor?.disks().map(\.attachment) ?? [])
    let connections = connections
    var leftovers: [Inventory.Leftover] = []
    for connector in connectors {
      leftovers += try await connector.leftovers { plugged.contains($0) || connections.record(of: $0) != nil }
    }
    return leftovers
  }

  /// Takes away what a connector has made for attachments that have neither a record nor a disk in an instance, if an earlier call has told of them
  /// already: `known` is what that returned. Whatever is in use stays, and so does what only stands in the way.
  ///
  /// Returns the attachments that something is left of now.
  public func sweep(known: Set<AttachmentID>) async -> Set<AttachmentID> {
    var left: Set<AttachmentID> = []
    do throws(StorageError) {
      for leftover in try await leftovers() ?? []
      where leftover.kind == .leakedSession || leftover.kind == .leakedRecord {
        if let attachment = leftover.attachment { left.insert(attachment) }
      }
    } catch {
      logger.debug("leftovers can't be looked for", metadata: ["error": "\(error)"])
      return known
    }
    for attachment in left.intersection(known).sorted() {
      do throws(StorageError) {
        try await locks.withLock(.connection(attachment)) { () async throws(StorageError) in
          guard connections.record(of: attachment) == nil else { return }
          if let hypervisor = drivers.hypervisor {
            guard try await !hypervisor.disks().contains(where: { $0.attachment == attachment }) else { return }
          }
          for connector in drivers.connectors { try await connector.disconnect(attachment) }
        }
        logger.notice("a leftover was taken away", metadata: ["attachment.id": "\(attachment)"])
        left.remove(attachment)
      } catch {
        logger.warning(
          "a leftover can't be taken away", metadata: ["attachment.id": "\(attachment)", "error": "\(error)"])
      }
    }
    return left
  }
}

extension NodeService {
  /// Whether there can be anything to sweep.
  var makesDevices: Bool { drivers.connectors.contains { $0 is any DeviceConnector } }
}
