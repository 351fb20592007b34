import HashTreeCollections
import PumiceModel
import PumiceWire

/// Changes of a volume in which those who use it take part: its files change, and QEMU has to go over to the new ones.
extension PendingWorkRunner {
  /// Makes a call to the volume's node. Where that waits for the volume's users, they are asked for their part, and the call is
  /// made once more to say so.
  ///
  /// - Parameter call: Makes the call; gets the generation that everybody has gone over to, if that was asked for.
  func followed(
    by users: VolumeID, _ call: (_ adopted: Int?) async throws(StorageError) -> Progress
  ) async throws(StorageError) -> Progress {
    let progress = try await call(nil)
    guard let generation = progress.awaits else { return progress }
    guard let volume = store.tables.volumes[users] else {
      throw StorageError(.notFound, "Volume \(users) could not be found.")
    }
    for attachment in store.tables.holders(of: users) {
      switch attachment.state {
      case .attaching, .attached:
        let step = try await connect(attachment, to: volume, size: volume.size).disk.progress
        if let step, !step.isComplete { return step }
      case .detaching, .withdrawing:
        throw StorageError(
          .unavailable, "\(volume.label) is being detached from instance \(attachment.instance); it goes on after that."
        )
      case .detached: break
      }
    }
    return try await call(generation)
  }
}
