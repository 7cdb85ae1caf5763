module nodeling

go 1.22
