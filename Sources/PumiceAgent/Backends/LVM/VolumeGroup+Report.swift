import FoundationEssentials
import PumiceModel

/// Reads what `lvm fullreport --reportformat json --units b --nosuffix` says about one volume group (lvmreport(7)).
extension VolumeGroup {
  /// What has to be asked for. Without `-a`, LVM leaves out hidden logical volumes.
  static let reportArguments =
    ["-a", "--reportformat", "json", "--units", "b", "--nosuffix"]
    + [
      "vg": Row.groupFields, "pv": Row.physicalFields, "lv": Row.logicalFields, "pvseg": [], "seg": [],
    ].sorted { $0.key < $1.key }.flatMap { report, fields in
      ["--configreport", report, "-o", fields.isEmpty ? "," : fields.joined(separator: ",")]
    }

  /// Throws `failed` for anything but a whole report, `notFound` when the group is not in it.
  init(report: String, of name: String) throws(StorageError) {
    let document: Report
    do {
      document = try JSONDecoder().decode(Report.self, from: Data(report.utf8))
    } catch {
      throw StorageError(.failed, "What lvm fullreport says about volume group \(name) is no report.", cause: error)
    }
    guard let entry = document.report.first(where: { $0.vg?.first?["vg_name"] == name }),
      let group = entry.vg?.first
    else {
      throw StorageError(.notFound, "Volume group \(name) is not in what lvm fullreport says.")
    }
    let row = Row(group, "volume group \(name)")
    self.init(
      name: name, uuid: try row.text("vg_uuid"), size: try row.bytes("vg_size"), free: try row.bytes("vg_free"),
      extentSize: try row.bytes("vg_extent_size"),
      metadataFree: try row.bytes("vg_mda_free"), metadataSize: try row.bytes("vg_mda_size"),
      obstacle: Self.obstacle(row), physicalVolumes: [], logicalVolumes: [:])
    guard extentSize > .zero else {
      throw StorageError(.failed, "LVM reports extents of \(extentSize.bytes) bytes for volume group \(name).")
    }
    for values in entry.pv ?? [] {
      let row = Row(values, "a physical volume of \(name)")
      physicalVolumes.append(
        PhysicalVolume(
          name: try row.text("pv_name"), uuid: try row.text("pv_uuid"), isMissing: !row["pv_missing"].isEmpty,
          holdsMetadata: row["pv_mda_used_count"] != "0"))
    }
    for values in entry.lv ?? [] {
      let volume = try LogicalVolume(Row(values, "a logical volume of \(name)"))
      logicalVolumes[volume.name] = volume
    }
  }

  private static func obstacle(_ row: Row) -> String? {
    if !row["vg_exported"].isEmpty { return "it is exported (vgimport undoes that)" }
    if row["vg_permissions"] == "read-only" { return "it is read-only (vgchange or the lvm.conf of this host)" }
    if !row["vg_lock_type"].isEmpty, row["vg_lock_type"] != "none" {
      return "it is shared under \(row["vg_lock_type"]) locks, which this backend does not take"
    }
    return nil
  }
}

extension LogicalVolume {
  fileprivate init(_ row: Row) throws(StorageError) {
    let shown = try row.text("lv_name")
    let attributes = Array(try row.text("lv_attr").utf8)
    guard attributes.count >= 9 else {
      throw StorageError(.failed, "LVM reports \"\(row["lv_attr"])\" as the attributes of logical volume \(shown).")
    }
    func has(_ position: Int, _ letters: String) -> Bool { letters.utf8.contains(attributes[position]) }

    let name = shown.hasPrefix("[") ? String(shown.dropFirst().dropLast()) : shown
    let kind: Kind =
      if has(0, "sS") {
        .thickSnapshot
      } else if shown.hasPrefix("[") {
        .hidden
      } else if has(0, "t") {
        .thinPool
      } else if has(0, "V") {
        .thin
      } else {
        .thick
      }
    self.init(
      uuid: try row.text("lv_uuid"), name: name, kind: kind, size: try row.bytes("lv_size"),
      tags: row["lv_tags"].split(separator: ",").map(String.init), origin: row.name("origin"),
      pool: row.name("pool_lv"))
    dataPercent = Double(row["data_percent"])
    metadataPercent = Double(row["metadata_percent"])
    metadataSize = Int64(row["lv_metadata_size"]).map { ByteCount($0) }
    originSize = Int64(row["origin_size"]).map { ByteCount($0) }
    isReadOnly = has(1, "rR")
    isActive = has(4, "asIScC")
    isSuspended = has(4, "sSMC")
    isInvalid = kind == .thickSnapshot && has(4, "IS") || row["lv_snapshot_invalid"] == "snapshot invalid"
    isMerging = has(0, "SO") && kind != .hidden
    isOpen = has(5, "o")
    zeroesChunks = has(7, "z")
    health =
      if has(8, "F") {
        .failed
      } else if has(8, "D") {
        .outOfData
      } else if has(8, "M") {
        .metadataReadOnly
      } else if has(8, "p") {
        .partial
      } else if has(4, "cC") || row["lv_check_needed"] == "check needed" {
        .needsCheck
      } else {
        .good
      }
  }
}

private struct Report: Decodable {
  struct Entry: Decodable {
    var vg: [[String: String]]?
    var pv: [[String: String]]?
    var lv: [[String: String]]?
  }
  var report: [Entry]
}

/// One line of a report.
private struct Row {
  static let groupFields = [
    "vg_name", "vg_uuid", "vg_size", "vg_free", "vg_extent_size", "vg_mda_free", "vg_mda_size",
    "vg_exported", "vg_permissions", "vg_lock_type",
  ]
  static let physicalFields = ["pv_name", "pv_uuid", "pv_missing", "pv_mda_used_count"]
  static let logicalFields = [
    "lv_uuid", "lv_name", "lv_attr", "lv_size", "lv_tags", "origin", "pool_lv", "data_percent", "metadata_percent",
    "lv_metadata_size", "origin_size", "lv_snapshot_invalid", "lv_check_needed",
  ]

  let values: [String: String]
  let subject: String

  init(_ values: [String: String], _ subject: String) {
    self.values = values
    self.subject = subject
  }

  /// Empty where LVM says nothing.
  subscript(_ field: String) -> String { values[field] ?? "" }

  func text(_ field: String) throws(StorageError) -> String {
    guard let text = values[field], !text.isEmpty else {
      throw StorageError(.failed, "LVM's report of \(subject) has no \(field).")
    }
    return text
  }

  func integer(_ field: String) throws(StorageError) -> Int64 {
    guard let number = Int64(try text(field)) else {
      throw StorageError(.failed, "LVM's report of \(subject) has \"\(self[field])\" as its \(field).")
    }
    return number
  }

  func bytes(_ field: String) throws(StorageError) -> ByteCount { ByteCount(try integer(field)) }

  /// The name of another logical volume, without the brackets of hidden ones.
  func name(_ field: String) -> String? {
    let text = self[field]
    return text.isEmpty ? nil : text.hasPrefix("[") ? String(text.dropFirst().dropLast()) : text
  }
}
