import HashTreeCollections
import Logging
import PumiceModel
import PumiceWire

extension PendingWorkRunner {
  /// Takes all snapshots of a group snapshot within one hold of the guest that has the volumes. There is one try: a second one
  /// would find some of them from before.
  func take(_ group: GroupSnapshot) async throws {
    let surroundings = surroundings
    do {
      guard !group.hasBegun else {
        throw StorageError(
          .failed, "Taking \(group.label) was interrupted, so that its snapshots would not be of one moment.")
      }
      let tables = store.tables
      let members = tables.snapshots(in: group.id)
      guard let holder = members.lazy.flatMap({ tables.holders(of: $0.volume) }).compactMap(\.place).first else {
        throw StorageError(.failed, "The instance that had the volumes of \(group.label) has them no more.")
      }
      try await store.write { try $0.begin(group) }
      let end = surroundings.now() + policy.quiesceTimeout
      try await freeze(holder, for: group)
      let failure = await takeAll(members, until: end)
      let hasHeld = try await thaw(holder, for: group)
      if let failure { throw failure }
      guard hasHeld else {
        throw StorageError(.failed, "The guest went on before all snapshots of \(group.label) were taken.")
      }
      try await store.write { try $0.confirm(group, at: surroundings.now()) }
    } catch let error as StorageError {
      logger.info(
        "A group snapshot could not be taken", metadata: ["group_snapshot.id": "\(group.id)", "error": "\(error)"])
      try await store.write { try $0.noteFailure(group, error, at: surroundings.now(), in: surroundings) }
    }
  }

  /// Each at once, and again until it is there. Gives the first failure.
  private func takeAll(_ members: [Snapshot], until end: Timestamp) async -> StorageError? {
    await withTaskGroup(of: StorageError?.self) { tasks in
      for snapshot in members {
        tasks.addTask {
          do throws(StorageError) {
            while !(try await ask(for: snapshot).isComplete) {
              guard surroundings.now() < end else {
                throw StorageError(.timeout, "\(snapshot.label) took longer than the guest may hold still.")
              }
              do { try await surroundings.sleep(.milliseconds(50)) } catch {
                throw StorageError.wrap(error, "Taking \(snapshot.label)")
              }
            }
            return nil
          } catch {
            return error
          }
        }
      }
      return await tasks.reduce(into: nil) { failure, next in failure = failure ?? next }
    }
  }

  private func freeze(_ holder: (instance: InstanceID, node: NodeName), for group: GroupSnapshot)
    async throws(StorageError)
  {
    var request = FreezeRequest(holder: group.holder, seconds: Int(policy.quiesceTimeout.components.seconds))
    request.incarnation = try observation(of: holder.node).incarnation
    let answer: FreezeAnswer
    do throws(StorageError) {
      answer = try await node(holder.node).freezeInstance(holder.instance, request)
    } catch {
      // It may hold still all the same.
      _ = try? await thaw(holder, for: group)
      throw error
    }
    guard answer.frozen else {
      throw StorageError(
        .unsupported,
        "Instance \(holder.instance) does not hold still, so that there is no snapshot of one moment. \(answer.reason ?? "")"
      )
    }
  }

  private func thaw(_ holder: (instance: InstanceID, node: NodeName), for group: GroupSnapshot)
    async throws(StorageError) -> Bool
  {
    try await node(holder.node).thawInstance(holder.instance, ThawRequest(holder: group.holder)).stillFrozen
  }
}

extension GroupSnapshot {
  /// Its name to those who hold guests still for snapshots.
  fileprivate var holder: SnapshotID { SnapshotID(high: id.high, low: id.low) }
}
