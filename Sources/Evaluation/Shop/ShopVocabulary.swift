// The words a simulated shop is made of.

struct ShopCategory: Sendable {
    var name: String
    /// Price of a middling item.
    var price: Double
    var nouns: [String]
}

enum ShopVocabulary {
    static let categories: [ShopCategory] = [
        ShopCategory(
            name: "Coffee", price: 24,
            nouns: ["Espresso Beans", "Hand Grinder", "Pour-Over Set", "Milk Frother", "Kettle"]),
        ShopCategory(
            name: "Garden", price: 31,
            nouns: ["Pruning Shears", "Raised Bed", "Watering Can", "Seed Mix", "Trowel"]),
        ShopCategory(
            name: "Cycling", price: 58,
            nouns: ["Helmet", "Pannier", "Chain Lube", "Rear Light", "Saddle", "Multi-Tool"]),
        ShopCategory(
            name: "Running", price: 64,
            nouns: ["Trail Shoes", "Race Vest", "Cap", "Head Torch", "Compression Socks"]),
        ShopCategory(
            name: "Kitchen", price: 38,
            nouns: ["Chef's Knife", "Cast-Iron Pan", "Cutting Board", "Stockpot", "Mandoline"]),
        ShopCategory(
            name: "Office", price: 22,
            nouns: ["Desk Lamp", "Notebook", "Fountain Pen", "Monitor Stand", "Ink Cartridge"]),
        ShopCategory(
            name: "Camping", price: 72,
            nouns: ["Tent", "Sleeping Mat", "Stove", "Lantern", "Dry Bag", "Water Filter"]),
        ShopCategory(
            name: "Music", price: 95,
            nouns: ["Headphones", "Guitar Strings", "Turntable", "Audio Cable", "Metronome"]),
        ShopCategory(
            name: "Toys", price: 27,
            nouns: ["Wooden Train", "Puzzle", "Building Blocks", "Kite", "Card Game"]),
        ShopCategory(
            name: "Photography", price: 110,
            nouns: ["Tripod", "Lens Cloth", "Camera Strap", "Film Roll", "Memory Card"]),
        ShopCategory(
            name: "Home", price: 45,
            nouns: ["Wool Blanket", "Wall Clock", "Candle", "Storage Basket", "Cushion"]),
        ShopCategory(
            name: "Repair", price: 34,
            nouns: ["Screwdriver Set", "Wood Glue", "Cordless Drill", "Tape Measure", "Clamp"]),
    ]

    static let adjectives = [
        "Compact", "Classic", "Ultralight", "Folding", "Everyday", "Signature", "Refillable",
        "Quiet", "Rugged", "Slim", "Insulated", "Recycled", "Brushed", "Matte", "Heritage",
    ]

    static let variants = [
        "Black", "Forest Green", "Sand", "Slate", "Ocean Blue", "Rust", "Natural", "Size M",
        "Size L", "Set of 2", "Set of 4", "Mk II", "2-Pack", "XL",
    ]

    private static let firstSyllables = [
        "Al", "Bro", "Cas", "Del", "Fen", "Gra", "Hal", "Jor", "Kel", "Lum", "Mor", "Nor", "Or",
        "Pel", "Ros", "Sol", "Tav", "Ul", "Ver", "Wex",
    ]
    private static let lastSyllables = [
        "dane", "feld", "grove", "holm", "io", "kin", "lund", "mark", "nix", "ora", "sen", "ton",
    ]

    static var brandCountMax: Int { firstSyllables.count * lastSyllables.count }

    static func brand(_ number: Int) -> String {
        firstSyllables[number % firstSyllables.count]
            + lastSyllables[number / firstSyllables.count % lastSyllables.count]
    }
}
