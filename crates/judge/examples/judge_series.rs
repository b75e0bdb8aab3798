//! Limits for a file of series: `judge_series SERIES.csv LIMITS.csv`.

use std::fs::File;
use std::io::BufWriter;

use assay_judge::Policy;
use assay_judge::series_file::judge_file;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(input), Some(output)) = (arguments.next(), arguments.next()) else {
        return Err("usage: judge_series SERIES.csv LIMITS.csv".into());
    };
    let output = BufWriter::new(File::create(output)?);
    let lines = judge_file(File::open(input)?, output, &Policy::default())?;
    println!("{lines} limits");
    Ok(())
}
