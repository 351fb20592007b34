import FoundationEssentials
import PumiceModel
import PumiceWire

/// Whose a share is. Its volumes are looked after by one backend of one node: what another took for leavings of a crash might be
/// what this one is about to finish. A small file on the share says so.
struct ShareOwner: Codable, Equatable, Sendable {
  var node: NodeName
  var backend: String

  static let file = ".pumice-owner"

  /// Makes the share this owner's, unless it is somebody else's: then it throws `forbidden`. Harmless when repeated.
  func claim(_ folder: any ShareFolder) async throws(StorageError) {
    var isOwn = try await isOwner(of: folder)
    if isOwn == nil {
      do throws(StorageError) {
        try await folder.create(Self.file)
      } catch {
        // Somebody else is at it, or was and has died.
        guard error.code == .conflict else { throw error }
        try? await Task.sleep(for: .seconds(1))
        isOwn = try await isOwner(of: folder)
      }
    }
    if isOwn == nil {
      try await folder.write(try WireJSON.text(self), to: Self.file, at: 0)
      try await folder.sync()
      isOwn = try await isOwner(of: folder)
    }
    guard isOwn != true else { return }
    throw foreign(folder)
  }

  /// Throws `forbidden` when the share is somebody else's. Changes nothing.
  func refuseOthers(_ folder: any ShareFolder) async throws(StorageError) {
    if try await isOwner(of: folder) == false { throw foreign(folder) }
  }

  private func foreign(_ folder: any ShareFolder) -> StorageError {
    StorageError(
      .forbidden,
      "\(folder.path(of: Self.file)) says that another backend has this share, and two would destroy each other's volumes. If that "
        + "one is gone for good, remove the file.")
  }

  /// `nil` when it is nobody's.
  private func isOwner(of folder: any ShareFolder) async throws(StorageError) -> Bool? {
    guard let bytes = try await folder.read(Self.file), !bytes.isEmpty else { return nil }
    return (try? JSONDecoder().decode(Self.self, from: Data(bytes))) == self
  }
}
