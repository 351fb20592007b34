import HashTreeCollections
import Logging
import PumiceModel
import PumiceWire

/// Changes of a volume in which those who use it take part: its files change, and QEMU has to go over to the new ones.
extension PendingWorkRunner {
  /// Makes a call to the volume's node. Where that waits for the volume's users, they are asked for their part, and the call is
  /// made once more to say what has become of it.
  ///
  /// What an answer only waits for to put things in order is left where it can't be had: then this is done.
  func followed<Request: FollowedRequest>(
    by users: VolumeID, _ request: Request, _ call: (Request) async throws(StorageError) -> Progress
  ) async throws(StorageError) -> Progress {
    let progress = try await call(request)
    guard let generation = progress.awaits else { return progress }
    var repeated = request
    do throws(StorageError) {
      if let step = try await goOver(users) { return progress.isComplete ? Progress(done: 0.99) : step }
      repeated.adopted = generation
      let next = try await call(repeated)
      // There may be more of its kind.
      return next.isComplete && next.awaits != nil ? Progress(done: 0.99) : next
    } catch {
      switch error.code {
      case .unsupported, .conflict, .wrongDevice:
        // The instance is shut off, say: nothing but room is lost by leaving some files as they are. Or somebody else has had
        // it go over meanwhile, and what is awaited now, if anything, is another step.
        repeated.adopted = nil
        repeated.declined = error.code == .unsupported ? generation : nil
        let next = try await call(repeated)
        if next.awaits != generation { return next.isComplete && next.awaits != nil ? Progress(done: 0.99) : next }
      default: break
      }
      guard progress.isComplete else { throw error }
      logger.info("Layers are left apart for now", metadata: ["volume.id": "\(users)", "error": "\(error)"])
      return .complete
    }
  }

  /// Has everybody who uses the volume go over to the image that its export names as the next. Returns where that stands while it
  /// is not done.
  private func goOver(_ users: VolumeID) async throws(StorageError) -> Progress? {
    guard let volume = store.tables.volumes[users] else {
      throw StorageError(.notFound, "Volume \(users) could not be found.")
    }
    for attachment in store.tables.holders(of: users) {
      switch attachment.state {
      case .reserved: break
      case .attaching, .attached:
        let step = try await connect(attachment, to: volume, size: volume.size).disk.progress
        if let step, !step.isComplete { return step }
      case .detaching, .withdrawing:
        throw StorageError(
          .unavailable, "\(volume.label) is being detached from \(attachment.holder); it goes on after that."
        )
      case .detached: break
      }
    }
    return nil
  }
}
