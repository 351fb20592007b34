import PumiceModel

/// Where in configfs the objects of one volume lie, and the words in them by which they are known as ours.
struct LIONames: Equatable, Sendable {
  /// Backstores lie under adapters. rtslib (targetcli) counts its own from 0 up, so ours are apart from them.
  static let adapterNumber = 9776
  /// What our targets call themselves to initiators, and how they are told from those that somebody else made.
  static let alias = "Pumice"
  /// The logical unit with the data, for every initiator. LIO answers for LUN 0 by itself when there is none.
  static let unit = 1
  static let unitFolder = "lun_\(unit)"
  /// The name of each link of ours; LIO does not care.
  static let link = "volume"

  let prefix: String
  let volume: VolumeID

  /// - Parameter prefix: Of the target's name. LIO compares names letter by letter, so ours are in lower case
  ///   (RFC 7143, 4.2.7.1, has initiators normalise them so).
  init(prefix: String, volume: VolumeID) {
    self.prefix = prefix.lowercased()
    self.volume = volume
  }

  /// The volume of the target with this name; `nil` for a name that is not of our form.
  init?(prefix: String, target: String) {
    let beginning = "\(prefix.lowercased()):volume-"
    let name = target.lowercased()
    guard name.hasPrefix(beginning), let volume = VolumeID(String(name.dropFirst(beginning.count))) else { return nil }
    self.init(prefix: prefix, volume: volume)
    guard self.name == target else { return nil }
  }

  var name: String { "\(prefix):volume-\(volume)" }
  var target: String { "iscsi/\(name)" }
  var group: String { "\(target)/tpgt_1" }
  var unit: String { "\(group)/lun/\(Self.unitFolder)" }
  func portal(_ portal: String) -> String { "\(group)/np/\(portal)" }
  func admission(_ initiator: String) -> String { "\(group)/acls/\(initiator)" }
  func mapping(_ initiator: String) -> String { "\(admission(initiator))/\(Self.unitFolder)" }

  static func adapter(_ plugin: LIOPlugin) -> String { "core/\(plugin.rawValue)_\(adapterNumber)" }
  func backstore(_ plugin: LIOPlugin) -> String { "\(Self.adapter(plugin))/volume-\(volume)" }
}

/// How LIO reaches the bytes.
enum LIOPlugin: String, CaseIterable, Sendable {
  /// A block device, past the page cache.
  case iblock
  /// A file.
  case fileio
}
