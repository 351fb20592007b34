import PumiceModel

/// The names that belong to one volume or snapshot in a folder.
struct FileNames: Hashable {
  enum Owner: Hashable {
    case volume(VolumeID)
    case snapshot(SnapshotID, of: VolumeID)
  }

  enum Role { case data, sidecar, temporary }

  let owner: Owner

  init(_ id: VolumeID) { owner = .volume(id) }
  init(_ id: SnapshotID, of volume: VolumeID) { owner = .snapshot(id, of: volume) }

  var data: String {
    switch owner {
    case .volume(let id): "volume-\(id)"
    case .snapshot(let id, let volume): "snapshot-\(id)-of-\(volume)"
    }
  }
  var sidecar: String { "\(data).json" }
  /// Bytes that are on their way to `data`.
  var newData: String { ".\(data).new" }
  var newSidecar: String { ".\(data).json.new" }
  /// What `newData` is being copied from.
  var origin: String { ".\(data).origin" }
  /// The source of the copy as it was when it began, where it must not share its blocks with the result.
  var frozen: String { ".\(data).frozen" }
  var temporaries: [String] { [newData, newSidecar, origin, frozen] }

  /// What a file in the folder is; `nil` when it is none of ours.
  static func role(of name: String) -> (FileNames, Role)? {
    let isHidden = name.hasPrefix(".")
    let suffixes = isHidden ? [".json.new", ".new", ".origin", ".frozen"] : [".json", ""]
    let suffix = suffixes.first { name.hasSuffix($0) }
    guard let suffix, let names = FileNames(stem: name.dropFirst(isHidden ? 1 : 0).dropLast(suffix.count)) else {
      return nil
    }
    return (names, isHidden ? .temporary : suffix.isEmpty ? .data : .sidecar)
  }

  private init?(stem: Substring) {
    let parts = stem.utf8.count == 43 ? ["volume-"] : ["snapshot-", "-of-"]
    var ids: [Substring] = []
    var rest = stem
    for part in parts {
      guard rest.hasPrefix(part) else { return nil }
      ids.append(rest.dropFirst(part.count).prefix(36))
      rest = rest.dropFirst(part.count + 36)
    }
    guard rest.isEmpty, ids.allSatisfy({ $0.utf8.count == 36 }) else { return nil }
    switch ids.count {
    case 1:
      guard let id = VolumeID(String(ids[0])) else { return nil }
      owner = .volume(id)
    default:
      guard let id = SnapshotID(String(ids[0])), let volume = VolumeID(String(ids[1])) else { return nil }
      owner = .snapshot(id, of: volume)
    }
    // Ids are also read in upper case, but not written so.
    guard data == stem else { return nil }
  }
}
