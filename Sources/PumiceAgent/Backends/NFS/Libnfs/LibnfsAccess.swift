package import PumiceModel
import Synchronization

/// A share through libnfs for as long as one likes: a session while the server is there, another one when it is back.
///
/// Whoever needs a session asks for it at the beginning of its work, and begins anew with another when it was lost: nothing that
/// was under way is ever repeated here.
package final class LibnfsAccess: Sendable {
  private struct State {
    var session: LibnfsSession?
    /// What the last attempt came to, and until when it stands for others.
    var refusal: (error: StorageError, end: ContinuousClock.Instant)?
  }

  package let share: NFSShare
  private let settings: LibnfsSettings
  private let pause: Duration
  private let state = Mutex(State())
  private let attempts = KeyedLock<NFSShare>()

  /// - Parameter pause: For how long after a failed attempt no other is made.
  package init(_ share: NFSShare, _ settings: LibnfsSettings, pause: Duration = .seconds(1)) {
    self.share = share
    self.settings = settings
    self.pause = pause
  }

  /// The session, if it stands; else a new one. However many ask, one attempt is made for all of them.
  ///
  /// Throws what `LibnfsSession.open` throws, by its deadline.
  package func session() async throws(StorageError) -> LibnfsSession {
    if let session = try standing() { return session }
    return try await attempts.withLock(share) { () async throws(StorageError) in
      if let session = try standing() { return session }
      do throws(StorageError) {
        let session = try await LibnfsSession.open(share, settings)
        state.withLock { $0 = State(session: session, refusal: nil) }
        return session
      } catch {
        let end = ContinuousClock.now + pause
        state.withLock { $0 = State(session: nil, refusal: (error, end)) }
        throw error
      }
    }
  }

  private func standing() throws(StorageError) -> LibnfsSession? {
    let (session, refusal) = state.withLock { ($0.session, $0.refusal) }
    if let session, session.loss == nil { return session }
    if let refusal, .now < refusal.end { throw refusal.error }
    return nil
  }
}
