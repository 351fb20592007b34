import HashTreeCollections
import Logging
import PumiceModel
import PumiceWire

/// The guest that has a volume, while a snapshot is taken of it: asked to hold still before, and to go on after.
///
/// Its node makes it go on by itself when nobody does: a coordinator that dies meanwhile leaves nothing frozen for long.
struct GuestHold {
  private enum Outcome {
    case frozen(Attachment)
    /// Asked, and nobody knows what came of it.
    case unknown(Attachment, because: String)
    case not(because: String?)
  }

  private let snapshot: SnapshotID
  private let outcome: Outcome

  /// Notes in the row that the volume is in use, and asks its guest to hold still. Only the first time that the snapshot is
  /// asked for: what an unanswered call did before, it may have done while the guest was writing.
  static func begin(for snapshot: Snapshot, by runner: PendingWorkRunner) async throws -> GuestHold {
    let holders = runner.store.tables.holders(of: snapshot.volume).filter { $0.state == .attached }
    guard let holder = holders.first else { return GuestHold(snapshot, .not(because: nil)) }
    guard snapshot.consistency == nil else {
      return GuestHold(snapshot, .not(because: "It took more than one call, and the guest was not held for all."))
    }
    try await runner.store.write { try $0.noteUse(snapshot) }
    guard let place = holder.place else {
      return GuestHold(snapshot, .not(because: "\(holder.holder) connects by itself, and is not asked to hold still."))
    }
    guard holders.count == 1 else {
      return GuestHold(
        snapshot, .not(because: "\(holders.count) instances have the volume, and hold still one by one only."))
    }
    let seconds = Int(runner.policy.quiesceTimeout.components.seconds)
    guard seconds > 0 else { return GuestHold(snapshot, .not(because: "Guests are not asked to hold still.")) }
    do throws(StorageError) {
      var request = FreezeRequest(holder: snapshot.id, seconds: seconds)
      request.incarnation = try runner.observation(of: place.node).incarnation
      let answer = try await runner.node(place.node).freezeInstance(place.instance, request)
      guard answer.frozen else { return GuestHold(snapshot, .not(because: answer.reason)) }
      return GuestHold(snapshot, .frozen(holder))
    } catch {
      return GuestHold(snapshot, .unknown(holder, because: error.message))
    }
  }

  private init(_ snapshot: Snapshot, _ outcome: Outcome) {
    self.snapshot = snapshot.id
    self.outcome = outcome
  }

  /// Lets the guest go on. Gives whether it has held still all the time, or why not.
  func end(by runner: PendingWorkRunner) async -> (isQuiesced: Bool, reason: String?) {
    switch outcome {
    case .not(let reason): return (false, reason)
    case .unknown(let holder, let reason):
      _ = try? await thaw(holder, by: runner)
      return (false, reason)
    case .frozen(let holder):
      do throws(StorageError) {
        let hasHeld = try await thaw(holder, by: runner)
        return (hasHeld, hasHeld ? nil : "The guest went on before the snapshot was taken.")
      } catch {
        return (false, "Nobody knows whether the guest has held still: \(error.message)")
      }
    }
  }

  private func thaw(_ holder: Attachment, by runner: PendingWorkRunner) async throws(StorageError) -> Bool {
    guard let place = holder.place else { return false }
    return try await runner.node(place.node).thawInstance(place.instance, ThawRequest(holder: snapshot)).stillFrozen
  }
}
