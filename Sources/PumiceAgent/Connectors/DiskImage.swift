public import PumiceWire

/// A chain of image files as QEMU is told to open them: each with its place and format, so that it believes no file's own
/// word for what it is or what stands behind it.
public struct DiskImage: Sendable, Hashable {
  public enum Place: Sendable, Hashable {
    /// On this node, such as below a mounted share.
    case file(path: String)
    /// QEMU asks the server by itself, as this user. The path is that of the export and of the file in it.
    case nfs(host: String, path: String, user: UInt32, group: UInt32)
  }

  public struct Layer: Sendable, Hashable {
    public let place: Place
    public let format: SharedImage.Format

    public init(_ place: Place, _ format: SharedImage.Format) {
      self.place = place
      self.format = format
    }
  }

  /// The first is written to; the last stands alone.
  public let layers: [Layer]

  public init(_ layers: [Layer]) { self.layers = layers }

  /// Those of its layers that are files of this node.
  var files: [String] {
    layers.compactMap { if case .file(let path) = $0.place { path } else { nil } }
  }
}

extension DiskImage: CustomStringConvertible {
  public var description: String { layers.map(\.description).joined(separator: " over ") }
}

extension DiskImage.Layer: CustomStringConvertible {
  public var description: String {
    switch place {
    case .file(let path): path
    case .nfs(let host, let path, _, _): "nfs://\(host)\(path)"
    }
  }
}

extension DiskImage.Layer {
  var path: String {
    switch place {
    case .file(let path), .nfs(_, let path, _, _): path
    }
  }

  var fileName: String { path.split(separator: "/").last.map(String.init) ?? path }

  /// Where the file is, without its name: layers with the same one know each other by name.
  var folder: DiskImage.Place {
    let folder = String(path.dropLast(fileName.count))
    switch place {
    case .file: return .file(path: folder)
    case .nfs(let host, _, let user, let group): return .nfs(host: host, path: folder, user: user, group: group)
    }
  }
}
