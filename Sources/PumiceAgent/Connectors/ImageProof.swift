import PumiceModel
import PumiceWire

/// Whether an image is the volume that it is said to be: asked on the node where an instance is to have it.
struct ImageProof {
  let folder: any ShareFolder

  /// Throws `wrongDevice` when the description on the share speaks of another volume, or of other files, `conflict` when a file
  /// is not what the description says.
  func prove(_ image: SharedImage, is volume: VolumeID) async throws(StorageError) {
    let name = FileNames(volume).sidecar
    guard let bytes = try await folder.read(name), let description = NFSVolume(bytes, of: volume), description.isWhole
    else {
      throw StorageError(
        .wrongDevice, "\(folder.path(of: name)) does not say that volume \(volume) is there, so nothing is opened.")
    }
    guard [description.image, description.offeredImage].contains(image.layers) else {
      throw StorageError(
        .wrongDevice,
        "The files that were named for volume \(volume) are not those that \(folder.path(of: name)) names; ask again.")
    }
    try await ImageCheck(folder: folder).check(description.image, next: description.offeredImage)
  }
}

extension DiskImage {
  init(_ layers: [SharedImage.Layer], in folder: any ShareFolder) {
    self.init(layers.map { Layer(folder.place(of: $0.name), $0.format) })
  }

  /// The same place for other layers of the same share.
  func beside(_ layers: [SharedImage.Layer]) -> DiskImage? {
    guard let place = self.layers.first?.place else { return nil }
    return DiskImage(layers.map { Layer(place.beside($0.name), $0.format) })
  }
}

extension DiskImage.Place {
  /// Another file in the same folder.
  fileprivate func beside(_ name: String) -> Self {
    switch self {
    case .file(let path): .file(path: Self.sibling(of: path, name))
    case .nfs(let host, let path, let user, let group):
      .nfs(host: host, path: Self.sibling(of: path, name), user: user, group: group)
    }
  }

  private static func sibling(of path: String, _ name: String) -> String {
    "\(path[...(path.lastIndex(of: "/") ?? path.startIndex)])\(name)"
  }
}
