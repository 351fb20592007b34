import PumiceModel
import Synchronization

/// Lets one at a time change an instance's disks: reading the XML, choosing a name and plugging are one step then.
///
/// It also keeps an instance that hangs from taking more than one of libvirt's threads.
final class InstanceGate: Sendable {
  /// Who waits, for each instance that somebody is at.
  private let queues = Mutex<[InstanceID: [CheckedContinuation<Void, Never>]]>([:])

  func withTurn<Result: Sendable>(
    at instance: InstanceID, _ body: () async throws(StorageError) -> Result
  ) async throws(StorageError) -> Result {
    await withCheckedContinuation { turn in
      let isFree = queues.withLock { queues in
        if queues[instance] == nil {
          queues[instance] = []
          return true
        }
        queues[instance]?.append(turn)
        return false
      }
      if isFree { turn.resume() }
    }
    defer { leave(instance) }
    return try await body()
  }

  private func leave(_ instance: InstanceID) {
    let next = queues.withLock { queues in
      guard queues[instance]?.isEmpty == false else {
        queues[instance] = nil
        return nil as CheckedContinuation<Void, Never>?
      }
      return queues[instance]?.removeFirst()
    }
    next?.resume()
  }
}
