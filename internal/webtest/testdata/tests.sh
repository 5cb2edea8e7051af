# What a run of tests looks like: some lines at once, then one after the other.
seq 1 "$1" | while read -r i; do
  case $((i % 12)) in
    0) printf '\033[1;34mpackage shop/cart%d\033[0m\n' $((i / 12)) ;;
    7) printf '  \033[33mslow\033[0m  TestCheckout/%d \033[2m(1.92 s)\033[0m\n' $i ;;
    *) printf '  \033[32mok\033[0m    TestCart/%d \033[2m(0.%02d s)\033[0m\n' $i $((i % 60)) ;;
  esac
  [ "$i" -lt 60 ] || sleep 0.5
done
