import Logging
public import PumiceModel
import PumiceWire

extension NodeService {
  /// How one pass over the records went.
  public struct RestorationOutcome: Sendable, Equatable {
    /// How many exports and connections stand as their records say.
    public var restored = 0
    /// What could not be restored yet, by attachment, and why.
    public var failures: [AttachmentID: String] = [:]

    public var isComplete: Bool { failures.isEmpty }
  }

  /// Puts back what kernel, target and hypervisor may have forgotten, with nobody's help but the records'. Harmless when
  /// nothing is missing.
  ///
  /// Every export is ensured. A disk is touched only while its instance has it: then the hypervisor gets the secret again.
  /// One that is not there is the coordinator's to decide about. Devices of this node are there before instances are asked
  /// for theirs, so that an instance can start with the node.
  public func restore() async -> RestorationOutcome {
    var outcome = RestorationOutcome()
    for record in exports.all where !record.isLeaving {
      do throws(StorageError) {
        if try await restoreExport(of: record.attachment, record.export.volume) { outcome.restored += 1 }
      } catch {
        outcome.failures[record.attachment] = error.message
      }
    }
    await restoreConnections(&outcome)
    return outcome
  }

  private func restoreExport(of attachment: AttachmentID, _ volume: VolumeID) async throws(StorageError) -> Bool {
    try await locks.withLock(.volume(volume)) { () async throws(StorageError) in
      // Since the list was read, it may have been removed or be on its way out.
      guard let record = exports.record(of: attachment), !record.isLeaving else { return false }
      let export = record.export
      guard let stored = try await backend(named: export.backend).volume(volume), stored.pool == export.pool else {
        throw StorageError(
          .notFound,
          "Volume \(volume) is exported to \(export.initiator), but it is not on pool \(export.backend)#\(export.pool)."
        )
      }
      _ = try await offer(record, stored)
      return true
    }
  }

  /// Whether there is something to restore in an instance that has been started: disks that may not show all of their size.
  func hasImages(_ instance: InstanceID) -> Bool {
    connections.all.contains {
      $0.request.instance == instance && $0.request.target.image != nil && !$0.isLeaving
    }
  }

  private func restoreConnections(_ outcome: inout RestorationOutcome) async {
    guard let hypervisor = drivers.hypervisor else { return }
    let records = connections.all.filter { !$0.isLeaving }
    guard !records.isEmpty else { return }
    await restoreDevices(of: records, &outcome)
    let plugged: Set<AttachmentID>
    do throws(StorageError) {
      plugged = Set(try await hypervisor.disks().map(\.attachment))
    } catch {
      for record in records { outcome.failures[record.attachment] = error.message }
      return
    }
    for record in records
    where plugged.contains(record.attachment) && outcome.failures[record.attachment] == nil {
      do throws(StorageError) {
        let isRestored = try await locks.withLock(.connection(record.attachment)) { () async throws(StorageError) in
          guard let record = connections.record(of: record.attachment), !record.isLeaving,
            let connector = drivers.connector(for: record.request.target)
          else { return false }
          try await plug(record, hypervisor, connector)
          if record.request.target.image != nil {
            // It may have been shut off when the volume grew: the first file of an image is left to QEMU then.
            try await hypervisor.resize(record.attachment, of: record.request.instance, to: record.request.size)
          }
          return true
        }
        if isRestored { outcome.restored += 1 }
      } catch {
        outcome.failures[record.attachment] = error.message
      }
    }
  }

  /// What connectors have made on this node. Sixteen at a time: one whose target is away shall not hold up the others.
  private func restoreDevices(of records: [ConnectionRecord], _ outcome: inout RestorationOutcome) async {
    await withTaskGroup(of: (AttachmentID, String?).self) { group in
      var waiting = records.filter { !$0.request.target.isLocal }.makeIterator()
      func begin() {
        guard let record = waiting.next() else { return }
        guard let connector = drivers.connector(for: record.request.target) as? any DeviceConnector else {
          return begin()
        }
        group.addTask { (record.attachment, await self.restoreDevice(of: record.attachment, connector)) }
      }
      for _ in 0..<16 { begin() }
      while let (attachment, failure) = await group.next() {
        outcome.failures[attachment] = failure
        begin()
      }
    }
  }

  /// Why it is not there; `nil` when it is, or is not wanted any more.
  private func restoreDevice(of attachment: AttachmentID, _ connector: any Connector) async -> String? {
    do throws(StorageError) {
      return try await locks.withLock(.connection(attachment)) { () async throws(StorageError) in
        guard let record = connections.record(of: attachment), !record.isLeaving else { return nil }
        _ = try await connector.connect(attachment, record.request)
        return nil
      }
    } catch {
      return error.message
    }
  }
}
