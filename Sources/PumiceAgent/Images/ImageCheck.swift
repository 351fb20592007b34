import PumiceModel
import PumiceWire

/// Whether the files of an image are what the volume's description says of them. Asked before anybody opens them: QEMU and
/// libvirt are told what each file is and what stands behind it, and are never to find out something else.
struct ImageCheck {
  let folder: any ShareFolder

  /// Throws `notFound` for a layer that is not there, `conflict` for one that is something else than it should be.
  ///
  /// - Parameter next: The chain that users may have gone over to: a file may also have behind it what it has there.
  func check(_ layers: [SharedImage.Layer], next: [SharedImage.Layer]? = nil) async throws(StorageError) {
    for (index, layer) in layers.enumerated() {
      let subject = folder.path(of: layer.name)
      guard try await folder.status(of: layer.name) != nil else {
        throw StorageError(.notFound, "\(subject) is a part of the volume, and is not there.")
      }
      switch layer.format {
      case .raw:
        guard index == layers.count - 1 else {
          throw StorageError(.conflict, "\(subject) is raw, so nothing can stand behind it.")
        }
      case .qcow2:
        let header = try await header(of: layer.name)
        let behind = Self.behind(layer, in: layers)
        let allowed = [behind] + (next.map { [Self.behind(layer, in: $0)] } ?? [])
        guard allowed.contains(header.backing?.plain) else {
          throw StorageError(
            .conflict,
            "\(subject) has \(header.backing?.name ?? "nothing") (\(header.backing?.format.rawValue ?? "-")) behind it, "
              + "and not \(behind?.name ?? "nothing") (\(behind?.format.rawValue ?? "-")), as its volume's description says."
          )
        }
      }
    }
  }

  func header(of name: String) async throws(StorageError) -> QCOW2Header {
    let subject = folder.path(of: name)
    guard let bytes = try await folder.read(name, QCOW2Header.readLength, at: 0) else {
      throw StorageError(.notFound, "\(subject) can't be read: it is not there.")
    }
    return try QCOW2Header(bytes, of: subject)
  }

  private static func behind(_ layer: SharedImage.Layer, in layers: [SharedImage.Layer]) -> QCOW2Header.Backing? {
    guard let index = layers.firstIndex(of: layer), index + 1 < layers.count else { return nil }
    return QCOW2Header.Backing(name: layers[index + 1].name, format: layers[index + 1].format)
  }
}
