/// What somebody may do. Each one may what those before it may.
public enum Role: String, Sendable, Codable, Comparable, CaseIterable {
  /// Sees what the project has.
  case reader
  /// Also changes what the project has.
  case member
  /// Does for the users of every project what they may do themselves: another service, such as Nova, on their behalf.
  case service
  /// Does everything, everywhere.
  case admin

  public static func < (left: Self, right: Self) -> Bool { left.rank < right.rank }

  private var rank: Int {
    switch self {
    case .reader: 0
    case .member: 1
    case .service: 2
    case .admin: 3
    }
  }

  /// The roles that a token for this one names beside it, as Keystone's bootstrap has them imply each other: `admin` implies
  /// `member`, which implies `reader`; `service` is alone.
  public var implied: [Role] {
    switch self {
    case .reader, .service: []
    case .member: [.reader]
    case .admin: [.reader, .member]
    }
  }

  /// The role that is meant by one of Keystone's names for roles; `nil` for one that gives nothing here.
  ///
  /// A `manager`, who in Keystone stands between `admin` and `member`, has no more to do here than a member.
  public init?(keystone name: String) {
    if name.lowercased() == "manager" {
      self = .member
    } else {
      self.init(rawValue: name.lowercased())
    }
  }

  /// All names, for messages.
  public static var names: String { allCases.map(\.rawValue).joined(separator: ", ") }
}
