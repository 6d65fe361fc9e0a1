/// Why a setting, a teacher's answer or a model's logit was refused.
public enum AlignmentError: Error, Equatable, CustomStringConvertible {
    case alpha(Double)
    case temperature(Double)
    case evidence(Double)
    case score(item: Int32, Float)
    case unknownItem(Int32)
    case repeatedItem(Int32)
    case count(what: String, expected: Int, received: Int)
    case logit(index: Int, Double)
    case goldNotLegal(depth: Int, token: Int32)

    public var description: String {
        switch self {
        case .alpha(let value): "alpha \(value) is outside 0...1"
        case .temperature(let value): "temperature \(value) is outside \(temperatures)"
        case .evidence(let value): "evidence \(value) is not a finite number of at least 0"
        case .score(let item, let value):
            "the teacher's score \(value) of item \(item) is no number below infinity: solve the "
                + "teacher anew"
        case .unknownItem(let item):
            "item \(item) is not in the trie: make targets for present items only"
        case .repeatedItem(let item): "item \(item) comes twice in a teacher's counts"
        case .count(let what, let expected, let received):
            "\(received) \(what) where \(expected) are needed"
        case .logit(let index, let value):
            "logit \(index) is \(value): the model diverged; lower the learning rate"
        case .goldNotLegal(let depth, let token):
            "the target's token \(token) at depth \(depth) may not follow there: the trie changed "
                + "since the target was made; make it again"
        }
    }
}
