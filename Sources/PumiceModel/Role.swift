/// What somebody may do in a project. Each one includes those before it.
public enum Role: String, Sendable, Codable, Comparable, CaseIterable {
  /// Sees what the project has.
  case reader
  /// Also changes what the project has.
  case member
  /// Does everything, everywhere.
  case admin

  public static func < (left: Self, right: Self) -> Bool { left.rank < right.rank }

  private var rank: Int {
    switch self {
    case .reader: 0
    case .member: 1
    case .admin: 2
    }
  }
}
