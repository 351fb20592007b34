import FoundationEssentials
import PumiceWire

extension QCOW2Header.Backing {
  /// How QEMU describes a file for which it has no plain name (qemu-qmp-ref(7), BlockdevOptions).
  private struct Node: Decodable {
    struct File: Decodable {
      let path: String?
      let filename: String?
    }

    let file: File
  }

  /// The same in the form that Pumice writes: the name of a file beside the image.
  ///
  /// After a merge over NFS, QEMU writes down all that it knows of the file, until it is told the plain name. Only which file
  /// it is counts here: nothing of ours opens what a header names.
  var plain: Self {
    let prefix = "json:"
    guard name.hasPrefix(prefix),
      let node = try? JSONDecoder().decode(Node.self, from: Data(name.utf8.dropFirst(prefix.utf8.count))),
      let path = node.file.path ?? node.file.filename, let last = path.split(separator: "/").last
    else { return self }
    return Self(name: String(last), format: format)
  }
}
